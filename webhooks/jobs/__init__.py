"""Jobs: durable rows, worked on by threads of this process, ticked by APScheduler."""
