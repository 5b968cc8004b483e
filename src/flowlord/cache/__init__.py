"""History: what the journal told, kept in SQLite. Optional, rebuildable, never on the path of a task."""
