// Package authzgin protects the routes of a gin engine.
package authzgin
