package main

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v5"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzecho"
)

func newAPI(guard *oauthz.Guard) http.Handler {
	e := echo.New()
	register(e, guard)
	return e
}

// register registers the routes of the API. Each route states its requirements.
func register(e *echo.Echo, guard *oauthz.Guard) {
	e.GET("/health", health, authzecho.Protect(guard, oauthz.Public()))
	e.GET("/catalog", catalog, authzecho.Protect(guard, oauthz.Require().OrAnonymous()))

	e.GET("/orders", listOrders, authzecho.Protect(guard, oauthz.Require("orders:read")))
	e.POST("/orders", addOrder, authzecho.Protect(guard, oauthz.Require("orders:write")))

	// A group: its requirement applies to all its routes, in addition to their own.
	admin := e.Group("/admin", authzecho.Protect(guard, oauthz.RequireClaim("roles", "admin")))
	admin.GET("/orders", listOrders, authzecho.Protect(guard, oauthz.Require("orders:read")))
	recent := oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(time.Hour)) // the user logged in within the last hour
	admin.DELETE("/orders/:id", removeOrder, authzecho.Protect(guard, recent))
}

// claims are the claims that this API reads from a token, in addition to the fields of oauthz.Token.
type claims struct {
	Subject string   `json:"sub"`
	Tenant  string   `json:"tenant"`
	Roles   []string `json:"roles"`
}

func health(c *echo.Context) error { return c.String(http.StatusOK, "well\n") }

// catalog shows prices to users who are logged in.
func catalog(c *echo.Context) error {
	offer := map[string]any{"item": "lamp"}
	if _, ok := authzecho.TokenFrom(c); ok { // an anonymous request has no token
		offer["price"] = 30
	}
	return c.JSON(http.StatusOK, offer)
}

func listOrders(c *echo.Context) error {
	token, _ := authzecho.TokenFrom(c) // behind Require there is always a token
	of, err := oauthz.ClaimsAs[claims](token)
	if err != nil { // a claim has another type than this API expects
		return echo.NewHTTPError(http.StatusForbidden, "cannot read the claims")
	}
	return c.JSON(http.StatusOK, map[string]any{"tenant": of.Tenant, "orders": []string{"lamp", "kettle"}})
}

func addOrder(c *echo.Context) error { return c.NoContent(http.StatusCreated) }

func removeOrder(c *echo.Context) error { return c.NoContent(http.StatusNoContent) }
