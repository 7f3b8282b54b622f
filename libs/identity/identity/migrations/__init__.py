"""The numbered migrations of the schema `identity`, applied by `chassis.postgres.migrations`."""
