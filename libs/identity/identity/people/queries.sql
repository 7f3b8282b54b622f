-- Every query on persons. Each is bound to tenants.

-- name: note
-- Keep the roles and groups with which a person was seen. Where they are kept already it reads alone: a conflict would lock the row.
INSERT INTO identity.people (tenant, person, roles, groups, seen_at)
SELECT $1, $2, $3::text[], $4::text[], $5
WHERE NOT EXISTS (
    SELECT FROM identity.people AS known
    WHERE known.tenant = $1 AND known.person = $2 AND known.roles = $3::text[] AND known.groups = $4::text[]
)
ON CONFLICT (tenant, person) DO UPDATE SET roles = excluded.roles, groups = excluded.groups, seen_at = excluded.seen_at
WHERE (people.roles, people.groups) IS DISTINCT FROM (excluded.roles, excluded.groups);

-- name: memberships
-- Roles and groups of persons, by all of their credentials that hold; a person without any is there with none. Strangers are not there.
-- A key that is narrowed to other rights than to decide gives no role.
WITH asked AS (
    SELECT DISTINCT tenant, person FROM unnest($1::text[], $2::text[]) AS asked (tenant, person)
), said AS (
    SELECT asked.tenant, asked.person, key.groups,
        CASE WHEN key.scopes = '{}' OR 'decisions:write' = ANY (key.scopes) THEN key.roles ELSE '{}' END AS roles,
        key.revoked_at IS NULL AND (key.expires_at IS NULL OR key.expires_at > $3) AS holds
    FROM asked
    JOIN identity.api_keys AS key ON key.tenant = asked.tenant
        AND CASE WHEN key.kind = 'service' AND key.owner IS NOT NULL THEN key.owner ELSE key.subject END = asked.person
    UNION ALL
    SELECT asked.tenant, asked.person, seen.groups, seen.roles, true
    FROM asked JOIN identity.people AS seen ON seen.tenant = asked.tenant AND seen.person = asked.person
)
SELECT tenant, person,
    ARRAY(SELECT DISTINCT role FROM said AS one, unnest(one.roles) AS role
          WHERE one.holds AND one.tenant = said.tenant AND one.person = said.person ORDER BY role) AS roles,
    ARRAY(SELECT DISTINCT name FROM said AS one, unnest(one.groups) AS name
          WHERE one.holds AND one.tenant = said.tenant AND one.person = said.person ORDER BY name) AS groups
FROM said GROUP BY tenant, person;
