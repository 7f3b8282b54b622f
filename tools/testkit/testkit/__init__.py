"""What the tests stand on: servers, stacks, users, specifications and samples."""
