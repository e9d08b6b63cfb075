// Package authzchi protects the routes of a chi router.
package authzchi
