"""The numbered migrations of the schema `artifacts`, applied by `chassis.postgres.migrations`."""
