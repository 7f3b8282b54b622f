"""The tools of the tests: servers, stacks, users, specifications, golden files. See `tools/testkit/README.md`."""
