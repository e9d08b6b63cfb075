// Package authzgin protects the routes of a gin engine with an [oauthz.Guard].
//
//	router := gin.New()
//	router.GET("/health", authzgin.Protect(guard, oauthz.Public()), health)
//	orders := router.Group("/orders", authzgin.Protect(guard, oauthz.Require("orders:read")))
//	orders.GET("/:id", getOrder)
//	orders.POST("", authzgin.Protect(guard, oauthz.Require("orders:write")), addOrder)
//
// A handler finds the token with [TokenFrom]. A request meets the Guards in the order of the chain, and is asked for all
// that they require; under the same Guard its token is judged once.
//
// The token is in the context of c.Request: pass c.Request.Context() on to what needs it. Neither c.Get nor
// ContextWithFallback is needed, and middleware that gives c.Request a context of its own making loses the token, so that
// an inner Guard judges it again. A goroutine that outlives its handler takes c.Copy(), as ever in gin, and asks
// TokenFrom(copy).
//
// Use on the engine protects what is not there as well: a request for a missing route is answered 401, not 404. Put it
// there to tell strangers nothing about the routes; then none can be Public, for what an outer Guard requires, no inner one
// takes back.
//
// The Pattern of an [oauthz.Decision] is c.FullPath(), such as /orders/:id, also before groups; it is empty where no route
// answers.
//
// [Record] lists what all routes require, for a test that no route was forgotten:
//
//	engine := gin.New()
//	recorder := authzgin.Record(engine) // while it is empty
//	routes(engine, guard)               // what the program does with its own
//	oauthztest.Golden(t, "testdata/routes.txt", oauthztest.RouteTable(t, recorder.Routes()))
package authzgin
