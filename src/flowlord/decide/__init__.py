"""What follows from an event: pure functions that return plans. No clock, no I/O, no chance in here."""
