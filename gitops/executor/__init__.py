"""The machine side: observe, plan again, hold or apply, journal, undo, report. Standard library only, Python 3.9 and later."""
