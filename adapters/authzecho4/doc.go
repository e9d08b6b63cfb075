// Package authzecho4 protects the routes of an echo v4 server with an [oauthz.Guard].
//
//	guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
//
//	e := echo.New()
//	orders := e.Group("/orders", authzecho4.Protect(guard, oauthz.Require("orders:read")))
//	orders.GET("/:id", show)
//	orders.DELETE("/:id", cancel, authzecho4.Protect(guard, oauthz.Require("orders:write")))
//
//	func show(c echo.Context) error {
//		token, _ := authzecho4.TokenFrom(c)
//		return c.String(http.StatusOK, "hello "+token.Subject)
//	}
//
// # Rules of use
//
// Protect a group before its routes are added to it: echo gives a route the
// middlewares that its group has at that time.
//
// A Guard in [echo.Echo.Use] or [echo.Echo.Pre] answers for every path, those
// that have no route too. One in a group answers for every path below the prefix
// of the group. One of a route answers for that route: OPTIONS, 404 and 405 are
// left to echo.
//
// Put middlewares that write to every response (logger, CORS, Gzip, Recover)
// before Protect, and those that act for a caller (rate limits by user, tenants)
// after it.
//
// [oauthz.Decision] has the pattern of the route as echo writes it, /orders/:id.
// In Pre, and where nothing matches, it is empty.
//
// A handler may keep the token, but neither [echo.Context] nor what it returns,
// for echo uses it for another request.
//
// [Record] lists what every route requires, so that a test sees the one that was
// forgotten.
package authzecho4
