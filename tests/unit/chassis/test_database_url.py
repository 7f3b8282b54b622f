"""One reading of `DATABASE_URL`: what the consoles of hosters give works with both drivers, and what neither knows is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chassis.postgres.database_url import LOCAL, DatabaseUrl, Host, parse_database_url
from chassis.postgres.url_parameters import MalformedUrl
from chassis.settings import SettingsError, load_settings

CONSOLES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (
        "postgresql://ada:secret@127.0.0.1:5432/sayso",
        {"hosts": (Host("127.0.0.1", 5432),), "user": "ada", "password": "secret", "database": "sayso"},
    ),
    "Neon, through its pooler": (
        "postgresql://owner:npg_Ab1@ep-cool-sun-a1b2c3-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        {
            "hosts": (Host("ep-cool-sun-a1b2c3-pooler.eu-central-1.aws.neon.tech", 5432),),
            "libpq": {"channel_binding": "require"},
            "tls": {"sslmode": "require"},
            "is_pooled": False,
        },
    ),
    "Neon, with its endpoint in the options": (
        "postgres://owner:npg_Ab1@ep-cool-sun-a1b2c3.eu-central-1.aws.neon.tech/neondb?options=endpoint%3Dep-cool-sun-a1b2c3&sslmode=require",
        {"startup": {"options": "endpoint=ep-cool-sun-a1b2c3"}},
    ),
    "Supabase itself": (
        "postgresql://postgres:pa%23ss%2Fw%40rd@db.abcdefghij.supabase.co:5432/postgres",
        {"password": "pa#ss/w@rd", "is_pooled": False},
    ),
    "Supabase, its pooler in session mode": (
        "postgresql://postgres.abcdefghij:secret@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
        {"user": "postgres.abcdefghij", "is_pooled": False},
    ),
    "Supabase, its pooler in transaction mode": (
        "postgresql://postgres.abcdefghij:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
        {"is_pooled": True},
    ),
    "Supabase, as it is written for Prisma": (
        "postgresql://postgres.abcdefghij:secret@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true",
        {"is_pooled": True},
    ),
    "Heroku": (
        "postgres://u1a2b3:p0aa11@ec2-54-1-2-3.eu-west-1.compute.amazonaws.com:5432/d4e5f6",
        {"user": "u1a2b3", "password": "p0aa11", "database": "d4e5f6"},
    ),
    "RDS, with its certificates": (
        "postgresql://app:secret@db.c9akciq32.eu-west-1.rds.amazonaws.com:5432/app?sslmode=verify-full&sslrootcert=/certs/global-bundle.pem",
        {"tls": {"sslmode": "verify-full", "sslrootcert": "/certs/global-bundle.pem"}},
    ),
    "Azure, a single server": (
        "postgresql://myadmin@myserver:secret@myserver.postgres.database.azure.com:5432/postgres?sslmode=require",
        {"user": "myadmin@myserver", "hosts": (Host("myserver.postgres.database.azure.com", 5432),)},
    ),
    "Azure, encoded": (
        "postgresql://myadmin%40myserver:secret@myserver.postgres.database.azure.com/postgres?sslmode=require",
        {"user": "myadmin@myserver"},
    ),
    "Cloud SQL, a socket in the query": (
        "postgresql://app:secret@/app?host=/cloudsql/project-1:europe-west1:db",
        {"hosts": (Host("/cloudsql/project-1:europe-west1:db", 5432),), "database": "app"},
    ),
    "Cloud SQL, a socket in place of the host": (
        "postgresql://app:secret@%2Fcloudsql%2Fproject-1%3Aeurope-west1%3Adb/app",
        {"hosts": (Host("/cloudsql/project-1:europe-west1:db", 5432),)},
    ),
    "Railway": (
        "postgresql://postgres:AbC-123@roundhouse.proxy.rlwy.net:6543/railway",
        {"hosts": (Host("roundhouse.proxy.rlwy.net", 6543),), "is_pooled": False},
    ),
    "Render": (
        "postgres://app_user:secret@dpg-abc123-a.frankfurt-postgres.render.com/app",
        {"hosts": (Host("dpg-abc123-a.frankfurt-postgres.render.com", 5432),)},
    ),
    "certificates of the system": (
        "postgresql://app:secret@db.example.com/app?sslmode=verify-full&sslrootcert=system",
        {"tls": {"sslmode": "verify-full", "sslrootcert": "system"}},
    ),
    "a sign-in that is bound to TLS": (
        "postgresql://app:secret@db.example.com/app?sslmode=prefer&channel_binding=require",
        {"tls": {"sslmode": "require"}},
    ),
    "two servers, one of which takes writes": (
        "postgresql://app:secret@first:5433,second/app?target_session_attrs=primary",
        {"hosts": (Host("first", 5433), Host("second", 5432)), "session": "primary"},
    ),
    "an IPv6 address": ("postgresql://app:secret@[2001:db8::1]:5433/app", {"hosts": (Host("2001:db8::1", 5433),)}),
    "two IPv6 addresses": (
        "postgresql://app@[::1],[2001:db8::2]:5433/app",
        {"hosts": (Host("::1", 5432), Host("2001:db8::2", 5433))},
    ),
    "a timeout of the server": (
        "postgresql://app@host/app?options=-c%20statement_timeout%3D5000&application_name=ours",
        {"startup": {"options": "-c statement_timeout=5000", "application_name": "ours"}},
    ),
    "what libpq alone knows": (
        "postgresql://app@host/app?connect_timeout=10&keepalives_idle=30&gssencmode=disable&tcp_user_timeout=9000",
        {
            "connect_seconds": 10,
            "libpq": {"keepalives_idle": "30", "gssencmode": "disable", "tcp_user_timeout": "9000"},
        },
    ),
    "a newline at its end": ("postgresql://app:secret@host/app\n", {"database": "app", "password": "secret"}),
    "a password with everything": (
        "postgresql://app:%25%3A%2F%3F%23%5B%5D%40%21%24%26%27%28%29%2A%2B%2C%3B%3D%20%C3%A9@host/app",
        {"password": "%:/?#[]@!$&'()*+,;= é"},
    ),
    "a password with a plus, a colon and an at": ("postgresql://app:a+b:c@d@host/app", {"password": "a+b:c@d"}),
    "no host": ("postgresql:///app", {"hosts": tuple(Host(name, 5432) for name in LOCAL), "user": None}),
    "everything behind the question mark": (
        "postgresql://?host=h&port=5433&user=u&password=p%26q&dbname=d",
        {"hosts": (Host("h", 5433),), "user": "u", "password": "p&q", "database": "d"},
    ),
    "an upper-case scheme": ("POSTGRES://app@host/app", {"database": "app"}),
}

REFUSED = {
    "postgresql://app:hunter2@host/app?pgbouncr=true": "pgbouncr",
    "postgresql://app:hunter2@host/app?sslmode=no-verify": "sslmode",
    "postgresql://app:hunter2@host/app?ssl=true": "ssl",
    "postgresql://app:hunter2@host/app?schema=public": "schema",
    "postgresql://app:hunter2@host/app?statement_timeout=5": "statement_timeout",
    "postgresql://app:hunter2@host/app?target_session_attrs=standby": "target_session_attrs",
    "postgresql://app:hunter2@host/app?gssencmode=require": "gssencmode",
    "postgresql://app:hunter2@host/app?connect_timeout=soon": "connect_timeout",
    "postgresql://app:hunter2@host/app?service=main": "service",
    "postgresql://app:hunter2@host/app?hostaddr=10.0.0.1": "hostaddr",
    "postgresql://app:hunter2@host/app?sslmode=require&sslmode=disable": "sslmode",
    "postgresql://app:hunter2@host/app?sslmode=require&sslrootcert=system": "sslrootcert",
    "postgresql://app:hunter2@host/app?sslmode": "sslmode",
    "postgresql://app:hunter2@host/app?sslmode=PREFER": "sslmode",
    "postgresql://app:hunter2@host/app?pgbouncer=TRUE": "pgbouncer",
    "postgresql://app:hunter2@host/app?sslmode=disable&channel_binding=require": "channel_binding",
    "postgresql://app:hunter2@host/app?dbname=other": "dbname",
    "postgresql://app:hunter2@host/app?host=other": "host",
    "postgresql://app:hunter2@a,b,c/app?port=1,2": "port",
    "postgresql://app:hunter2@host:99999/app": "port",
    "postgresql://app:hunter2@::1/app": "IPv6",
    "postgresql://app:hun/ter2@host/app": "percent-encoded",
    "postgresql://app:12/hunter2@host/app": "percent-encoded",
    "postgresql://app:hunter2?x=y@host/app": "percent-encoded",
    "postgresql://app:hunter2%@host/app": "percent-encoded",
    "postgresql://app:hun ter2@host/app": "percent-encoded",
    "postgresql://app:hunter2@host/app\nx": "control character",
    "postgresql+asyncpg://app:hunter2@host/app": "begins with postgresql://",
    "'postgresql://app:hunter2@host/app'": "begins with postgresql://",
    "mysql://app:hunter2@host/app": "begins with postgresql://",
    "host=db user=app password=hunter2": "begins with postgresql://",
}


@pytest.mark.parametrize("name", CONSOLES)
def test_what_a_console_gives_is_read_as_it_is_meant(name: str) -> None:
    """Hosts, user, password, database and parameters of each are what its hoster says they are."""
    text, wanted = CONSOLES[name]
    url = parse_database_url(text)
    assert {part: getattr(url, part) for part in wanted} == wanted


@pytest.mark.parametrize("name", CONSOLES)
async def test_both_drivers_take_the_arguments_that_are_made_of_it(name: str) -> None:
    """The first reads the same place and user as we do, and the second gets as far as the network."""
    url = parse_database_url(CONSOLES[name][0])
    read = conninfo_to_dict(make_conninfo(**url.for_libpq()))
    assert (read.get("user"), read.get("password"), read.get("dbname")) == (url.user, url.password, url.database)
    assert read["host"] == ",".join(host.name for host in url.hosts)
    closed = Host("127.0.0.1", 1)
    with pytest.raises(OSError, match=r"127\.0\.0\.1|No such file"):
        await asyncpg.connect(**replace(url, hosts=(closed,)).for_asyncpg(closed))


@pytest.mark.parametrize(("text", "named"), REFUSED.items())
def test_what_neither_driver_knows_is_refused_by_name(text: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No service starts on such a URL; the one line names the parameter or the place, and shows nothing of the password."""
    monkeypatch.setenv("DATABASE_URL", text)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    said = str(refused.value)
    assert said.startswith("DATABASE_URL: ")
    assert named in said
    assert "\n" not in said
    assert "hunter2" not in said
    assert "ter2" not in said


def test_a_url_shows_no_password_in_a_log() -> None:
    """Its text form has none, nor that of a client's key."""
    url = parse_database_url("postgresql://app:hunter2@host/app?sslkey=/key&sslpassword=hunter3")
    assert "hunter" not in repr(url) + str(url)


def test_what_the_url_says_wins_over_what_we_would_choose() -> None:
    """Names of sessions and times are defaults: a URL may replace each."""
    url = parse_database_url("postgresql://app@host/app?application_name=theirs&connect_timeout=30&keepalives_idle=7")
    said = url.for_libpq(application_name="ours", connect_timeout=3, keepalives_idle=10, keepalives_count=3)
    assert (said["application_name"], said["connect_timeout"]) == ("theirs", 30)
    assert (said["keepalives_idle"], said["keepalives_count"]) == ("7", 3)
    assert url.for_asyncpg(url.hosts[0], application_name="ours")["server_settings"] == {"application_name": "theirs"}


@pytest.mark.parametrize("asked", ["", "?target_session_attrs=any", "?target_session_attrs=read-write"])
def test_every_session_must_take_writes(asked: str) -> None:
    """A server that takes none is never connected to, whether the URL says so or not."""
    url: DatabaseUrl = parse_database_url(f"postgresql://app@one,two/app{asked}")
    assert url.for_libpq()["target_session_attrs"] == "read-write"
    assert url.for_asyncpg(url.hosts[0])["target_session_attrs"] == "read-write"


def test_a_malformed_url_is_a_value_error() -> None:
    """Callers that know nothing of URLs catch what they catch of other values."""
    assert issubclass(MalformedUrl, ValueError)
