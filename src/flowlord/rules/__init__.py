"""Pure arithmetic of phases: durations, cron, templates, moments, globs, batches, backoff, date ranges."""
