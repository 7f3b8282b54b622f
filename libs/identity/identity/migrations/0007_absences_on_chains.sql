-- Whom a person's substitute is, and for whom a person stands in.
CREATE INDEX absences_of_person ON identity.absences (tenant, person, ends_at);
CREATE INDEX absences_of_substitute ON identity.absences (tenant, substitute, ends_at);
