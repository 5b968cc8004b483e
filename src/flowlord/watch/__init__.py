"""Where files come from: folders of this machine, buckets. What is seen here is a hint; the listing is the truth."""
