package authzgin_test

import (
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/oauthz/oauthz"
	"github.com/oauthz/oauthz/adapters/adaptertest"
	"github.com/oauthz/oauthz/adapters/authzgin"
)

// Through groups and Use.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	adaptertest.RunOutcomes(t, func(guard *oauthz.Guard, handler http.HandlerFunc, requirements ...oauthz.Requirement) http.Handler {
		engine := gin.New()
		group, last := &engine.RouterGroup, len(requirements)-1
		for i, req := range requirements[:last] {
			if i%2 == 0 {
				group = group.Group("/", authzgin.Protect(guard, req))
				continue
			}
			group = group.Group("/")
			group.Use(authzgin.Protect(guard, req))
		}
		group.Any("/*path", authzgin.Protect(guard, requirements[last]), func(c *gin.Context) { handler(c.Writer, c.Request) })
		return engine
	})
}
