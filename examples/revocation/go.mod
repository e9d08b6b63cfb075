module github.com/oauthz/oauthz/examples/revocation

go 1.25.0

require (
	github.com/jackc/pgx/v5 v5.12.0
	github.com/oauthz/oauthz v0.1.0
	github.com/oauthz/oauthz/revlog/boltlog v0.1.0
	github.com/oauthz/oauthz/revlog/pglog v0.1.0
	github.com/oauthz/oauthz/revlog/redislog v0.1.0
	github.com/redis/go-redis/v9 v9.22.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/bbolt v1.4.3
)

require (
	github.com/MicahParks/jwkset v0.11.3 // indirect
	github.com/MicahParks/keyfunc/v3 v3.9.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.30.0 // indirect
	golang.org/x/text v0.41.0 // indirect
	golang.org/x/time v0.15.0 // indirect
)

replace (
	github.com/oauthz/oauthz => ../..
	github.com/oauthz/oauthz/revlog/boltlog => ../../revlog/boltlog
	github.com/oauthz/oauthz/revlog/pglog => ../../revlog/pglog
	github.com/oauthz/oauthz/revlog/redislog => ../../revlog/redislog
)
