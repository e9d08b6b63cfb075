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
// A handler finds the token with oauthz.TokenFrom(r.Context()). A request meets the Guards from the outside in, and is
// asked for all that they require; under the same Guard its token is judged once.
//
// Use on the router that the server calls protects what is not there as well: a request for a missing route is answered
// 401, not 404. Put it there to tell strangers nothing about the routes; then none can be Public, for what an outer Guard
// requires, no inner one takes back.
//
// The Pattern of an [oauthz.Decision] is as much as chi knows where the Guard stands: all of it for With, Group, and the
// handlers of a route; of a router that is mounted, where it is mounted (/orders/*), for its Use; nothing for the Use of the
// outermost router, which runs before chi looks for a route.
//
// [Routes] lists what all routes require, for a test that no route was forgotten:
//
//	oauthztest.Golden(t, "testdata/routes.txt", oauthztest.RouteTable(t, authzchi.Routes(router)))
package authzchi
