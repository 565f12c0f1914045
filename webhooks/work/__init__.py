"""Work: what the handlers of jobs do. Each reads the forge and Git anew, so that doing it twice changes nothing."""
