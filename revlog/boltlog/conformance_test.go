package boltlog_test

import (
	"testing"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/boltlog"
	"github.com/oauthz/oauthz/revlog/logtest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(t *testing.T) logtest.Store {
		log := newLog(t, openFile(t, fileIn(t)), boltlog.Config{})
		return logtest.Store{Open: func(testing.TB) revlog.Log { return log }}
	})
}
