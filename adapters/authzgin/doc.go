// Package authzgin protects the routes of a gin engine with an [oauthz.Guard].
//
//	router := gin.New()
//	router.GET("/health", authzgin.Protect(guard, oauthz.Public()), health)
//	orders := router.Group("/orders", authzgin.Protect(guard, oauthz.Require("orders:read")))
//	orders.GET("/:id", getOrder)
//	orders.POST("", authzgin.Protect(guard, oauthz.Require("orders:write")), addOrder)
//
// A handler gets the token from [TokenFrom]. A request meets the Guards in the order of the chain, and must meet the
// requirements of all of them. If several of them are the same Guard, it validates the token once.
//
// The token is in the context of c.Request: pass c.Request.Context() to functions that need the token. Neither c.Get nor
// ContextWithFallback is needed. Middleware that gives c.Request a new context, not derived from the old one, loses the
// token, so that an inner Guard validates it again. A goroutine that outlives its handler uses c.Copy(), as always in gin,
// and calls TokenFrom(copy).
//
// Use on the engine also protects paths without a route: a request for a missing route is answered 401, not 404. Put a Guard
// there if clients without a token must not find out which routes exist. Then no route can be Public, because an inner Guard
// cannot lift the requirement of an outer one.
//
// The Pattern of an [oauthz.Decision] is c.FullPath(), such as /orders/:id, also for a Guard of the engine or a group. It is
// empty if no route matches.
//
// [Record] lists the requirements of all routes, for a test that no route was forgotten:
//
//	engine := gin.New()
//	recorder := authzgin.Record(engine) // while the engine has no routes
//	routes(engine, guard)               // as the program registers them
//	oauthztest.Golden(t, "testdata/routes.txt", oauthztest.RouteTable(t, recorder.Routes()))
package authzgin
