module github.com/oauthz/oauthz/adapters/authzecho

go 1.25.0

require (
	github.com/labstack/echo/v5 v5.3.1
	github.com/oauthz/oauthz v0.0.0
)

require github.com/golang-jwt/jwt/v5 v5.3.1 // indirect

replace github.com/oauthz/oauthz => ../..
