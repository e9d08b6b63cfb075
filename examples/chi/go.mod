module github.com/oauthz/oauthz/examples/chi

go 1.25.0

require (
	github.com/go-chi/chi/v5 v5.5.0
	github.com/oauthz/oauthz v0.1.0
	github.com/oauthz/oauthz/adapters/authzchi v0.1.0
	github.com/oauthz/oauthz/examples/stage v0.0.0
)

require (
	github.com/MicahParks/jwkset v0.11.3 // indirect
	github.com/MicahParks/keyfunc/v3 v3.9.0 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace (
	github.com/oauthz/oauthz => ../..
	github.com/oauthz/oauthz/adapters/authzchi => ../../adapters/authzchi
	github.com/oauthz/oauthz/examples/stage => ../stage
)
