// Package authzecho protects the routes of an echo v5 server with an [oauthz.Guard].
//
//	guard, err := oauthz.New(oauthz.Config{Introspector: introspector})
//
//	e := echo.New()
//	orders := e.Group("/orders", authzecho.Protect(guard, oauthz.Require("orders:read")))
//	orders.GET("/:id", show)
//	orders.DELETE("/:id", cancel, authzecho.Protect(guard, oauthz.Require("orders:write")))
//
//	func show(c *echo.Context) error {
//		token, _ := authzecho.TokenFrom(c)
//		return c.String(http.StatusOK, "hello "+token.Subject)
//	}
//
// # Rules of use
//
// Protect a group before you add routes to it: echo gives a route the
// middlewares that its group has at that time.
//
// A Guard in [echo.Echo.Use] or [echo.Echo.Pre] protects every path, also paths
// without a route. A Guard of a group protects every path below the prefix of the
// group, unless [echo.Config] switches that off. A Guard of a route protects that
// route only: echo itself answers OPTIONS, 404 and 405.
//
// Put middlewares that write to every response (logger, CORS, Gzip, Recover)
// before Protect. Put those that depend on the caller (rate limits by user,
// tenants) after it.
//
// The Pattern of an [oauthz.Decision] is the pattern of the route as echo writes
// it, /orders/:id. It is empty in Pre, and if no route matches.
//
// A handler may keep the token after the request. It must not keep the
// [echo.Context] or the values that its methods return, because echo reuses it for
// another request.
//
// [Record] lists the requirements of every route, for a test that no route was
// forgotten.
package authzecho
