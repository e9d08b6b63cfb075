package jose

import (
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Sign makes a compact JWS of claims. The key is a crypto.Signer for the
// algorithms of [Algorithms], or a shared secret as []byte for HS256, which is
// only ever used to tell a server who we are, never to verify.
func Sign(alg, kid, typ string, key any, claims map[string]any) (string, error) {
	method, err := signingMethod(alg, key)
	if err != nil {
		return "", err
	}
	header := map[string]string{"alg": alg}
	if kid != "" {
		header["kid"] = kid
	}
	if typ != "" {
		header["typ"] = typ
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(h) + "." + encode(c)
	signature, err := method.Sign(signed, key)
	if err != nil {
		return "", errors.New("jose: the key does not sign with " + alg)
	}
	return signed + "." + encode(signature), nil
}

func signingMethod(alg string, key any) (jwt.SigningMethod, error) {
	if secret, ok := key.([]byte); ok {
		if alg != "HS256" || len(secret) == 0 {
			return nil, errors.New("jose: a shared secret signs with HS256 alone, and is not empty")
		}
		return jwt.SigningMethodHS256, nil
	}
	a, ok := algorithms[alg]
	if _, signer := key.(crypto.Signer); !ok || !signer {
		return nil, fmt.Errorf("jose: cannot sign with %q", alg)
	}
	return a.method, nil
}
