// Package authzchi protects the routes of a chi router with an [oauthz.Guard].
//
//	r := chi.NewRouter()
//	r.With(authzchi.Protect(guard, oauthz.Public())).Get("/health", health)
//	r.Route("/orders", func(r chi.Router) {
//		r.Use(authzchi.Protect(guard, oauthz.Require("orders:read")))
//		r.Get("/{id}", getOrder)
//		r.With(authzchi.Protect(guard, oauthz.Require("orders:write"))).Post("/", addOrder)
//	})
//
// A handler gets the token from oauthz.TokenFrom(r.Context()). A request meets the Guards from the outside in, and must
// meet the requirements of all of them. If several of them are the same Guard, it validates the token once.
//
// Use on the router that the server calls also protects paths without a route: a request for a missing route is answered
// 401, not 404. Put a Guard there if clients without a token must not find out which routes exist. Then no route can be
// Public, because an inner Guard cannot lift the requirement of an outer one.
//
// The Pattern of an [oauthz.Decision] is the part that chi knows where the Guard stands. For With, Group and the handlers of
// a route it is the whole pattern. For the Use of a mounted router it is the pattern of the mount (/orders/*). For the Use of
// the outermost router it is empty, because that runs before chi looks for a route.
//
// [Routes] lists the requirements of all routes, for a test that no route was forgotten:
//
//	oauthztest.Golden(t, "testdata/routes.txt", oauthztest.RouteTable(t, authzchi.Routes(router)))
package authzchi
