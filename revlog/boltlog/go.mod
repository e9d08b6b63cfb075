module github.com/oauthz/oauthz/revlog/boltlog

go 1.25.0

require (
	github.com/oauthz/oauthz v0.1.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/bbolt v1.4.3
)

require (
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.29.0 // indirect
)

replace github.com/oauthz/oauthz => ../..
