"""Keep tests apart with real commits: contracts and the plain logic. Knows no driver."""
