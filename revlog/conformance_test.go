package revlog_test

import (
	"testing"

	"github.com/oauthz/oauthz/revlog"
	"github.com/oauthz/oauthz/revlog/logtest"
)

func TestMemoryConforms(t *testing.T) {
	t.Parallel()
	logtest.Run(t, func(*testing.T) logtest.Store {
		memory := &revlog.Memory{}
		return logtest.Store{
			Open: func(testing.TB) revlog.Log { return memory },
			Lose: func(_ testing.TB, n int) { memory.Lose(n) },
		}
	})
}
