// Chi is a small orders API on chi: groups, a route for which a token
// is optional, a claim that a route requires, and claims with a type. The code to
// copy is in api.go; api_test.go keeps the table of its routes. From the root of
// the repository,
//
//	go run ./examples/chi
//
// prints tokens to paste into another terminal, and the answers to these commands:
//
//	curl -i http://127.0.0.1:8080/health                                                       # 200
//	curl -i http://127.0.0.1:8080/catalog                                                      # 200
//	curl -i -H "Authorization: Bearer $ALICE" http://127.0.0.1:8080/catalog                    # 200
//	curl -i -H "Authorization: Bearer junk" http://127.0.0.1:8080/catalog                      # 401
//	curl -i http://127.0.0.1:8080/orders                                                       # 401
//	curl -i -H "Authorization: Bearer $ALICE" http://127.0.0.1:8080/orders                     # 200
//	curl -i -H "Authorization: Bearer $ALICE" -d lamp http://127.0.0.1:8080/orders             # 403
//	curl -i -H "Authorization: Bearer $CLERK" -d lamp http://127.0.0.1:8080/orders             # 201
//	curl -i -H "Authorization: Bearer $CLERK" -X DELETE http://127.0.0.1:8080/admin/orders/1   # 403
//	curl -i -H "Authorization: Bearer $TIRED" -X DELETE http://127.0.0.1:8080/admin/orders/1   # 401
//	curl -i -H "Authorization: Bearer $ADMIN" -X DELETE http://127.0.0.1:8080/admin/orders/1   # 204
//
// It then serves until it is interrupted. Flags:
//
//	-addr address   the address on which the API listens; default 127.0.0.1:8080
//	-once           exit after the curl lines, with status 1 if an answer has another status
package main

import (
	_ "embed"

	"github.com/oauthz/oauthz/examples/stage"
)

//go:embed main.go
var source string

func main() { stage.Main(source, newAPI) }
