package main

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/authzgin"
)

func newAPI(guard *oauthz.Guard) http.Handler {
	gin.SetMode(gin.ReleaseMode) // otherwise gin prints each route
	engine := gin.New()
	register(engine, guard)
	return engine
}

// register registers the routes of the API. Each route states its requirements.
func register(router gin.IRouter, guard *oauthz.Guard) {
	router.GET("/health", authzgin.Protect(guard, oauthz.Public()), health)
	router.GET("/catalog", authzgin.Protect(guard, oauthz.Require().OrAnonymous()), catalog)

	router.GET("/orders", authzgin.Protect(guard, oauthz.Require("orders:read")), listOrders)
	router.POST("/orders", authzgin.Protect(guard, oauthz.Require("orders:write")), addOrder)

	// A group: its requirement applies to all its routes, in addition to their own.
	admin := router.Group("/admin", authzgin.Protect(guard, oauthz.RequireClaim("roles", "admin")))
	admin.GET("/orders", authzgin.Protect(guard, oauthz.Require("orders:read")), listOrders)
	recent := oauthz.All(oauthz.Require("orders:write"), oauthz.RequireMaxAge(time.Hour)) // the user logged in within the last hour
	admin.DELETE("/orders/:id", authzgin.Protect(guard, recent), removeOrder)
}

// claims are the claims that this API reads from a token, in addition to the fields of oauthz.Token.
type claims struct {
	Subject string   `json:"sub"`
	Tenant  string   `json:"tenant"`
	Roles   []string `json:"roles"`
}

func health(c *gin.Context) { c.String(http.StatusOK, "well\n") }

// catalog shows prices to users who are logged in.
func catalog(c *gin.Context) {
	offer := gin.H{"item": "lamp"}
	if _, ok := authzgin.TokenFrom(c); ok { // an anonymous request has no token
		offer["price"] = 30
	}
	c.JSON(http.StatusOK, offer)
}

func listOrders(c *gin.Context) {
	token, _ := authzgin.TokenFrom(c) // behind Require there is always a token
	of, err := oauthz.ClaimsAs[claims](token)
	if err != nil { // a claim has another type than this API expects
		c.String(http.StatusForbidden, "cannot read the claims")
		return
	}
	c.JSON(http.StatusOK, gin.H{"tenant": of.Tenant, "orders": []string{"lamp", "kettle"}})
}

func addOrder(c *gin.Context) { c.Status(http.StatusCreated) }

func removeOrder(c *gin.Context) { c.Status(http.StatusNoContent) }
