"""What stands in place of parts of the client libraries: a consumer that survives damaged records, a sender for one partition."""
