"""A person signs in and out in a real browser; pages elsewhere get nothing done by the session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from local_stack.broker.embedded import EmbeddedBroker
from testkit.chromium.program import running_chromium
from testkit.chromium.visitors import Visitor, new_visitor
from testkit.identity_provider.proxy import proxied
from testkit.kafka.servers import Kafka
from testkit.loopback_server import served

from .signed_site import SignedSite, signed_site

HOME = "Sayso: 1 waiting"


@pytest_asyncio.fixture(scope="module")
async def site(
    module_postgres_url: str, oidc_process: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SignedSite]:
    """Run the site for all tests here: none of them decides."""
    folder = tmp_path_factory.mktemp("signed")
    broker = EmbeddedBroker(folder / "embedded")
    await broker.start()
    kafka = Kafka(broker.bootstrap, embedded=True, log_id=broker.log_id)
    async with (
        proxied(oidc_process) as provider,
        signed_site(kafka, module_postgres_url, provider, folder / "services") as running,
    ):
        yield running
    await broker.stop()


async def type_key(page: Page, key: str) -> None:
    """Type an API key into the sign-in page and send it."""
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_person_signs_in_by_the_provider(site: SignedSite, visitor: Visitor, host: str) -> None:
    """From the first page there and back, where the provider is on another port of the host, and on another site."""
    page = await site.sign_in(visitor, address=site.url.replace("127.0.0.1", host) + "/")
    await expect(page).to_have_title(HOME)
    (cookie,) = [one for one in await visitor.context.cookies() if one["name"] == "sayso_session"]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["domain"]) == (True, "Lax", host)
    assert await page.evaluate("document.cookie") == ""


async def test_pages_ask_no_other_host(site: SignedSite, visitor: Visitor) -> None:
    """The sign-in page, the first page and the documents, each with styles and scripts."""
    asked: set[str] = set()
    visitor.context.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    await visitor.page.goto(f"{site.url}/")
    await type_key(visitor.page, await site.key("kay", "reviewer"))
    await expect(visitor.page).to_have_title(HOME)
    await visitor.page.get_by_role("link", name="The API").click()
    await expect(visitor.page.get_by_role("heading", name="Sayso")).to_be_visible()
    assert asked - {""} == {urlsplit(site.url).netloc}


async def test_a_wrong_key_is_told_on_the_page(site: SignedSite, visitor: Visitor) -> None:
    """The field is empty again, and the right key leads to where the person wanted to go."""
    visitor.incidents.expect("^401: POST .*/signin")
    await visitor.page.goto(f"{site.url}/?limit=7")
    await type_key(visitor.page, "sayso_mistyped")
    await expect(visitor.page.get_by_role("alert")).to_contain_text("cannot be read")
    await expect(visitor.page.get_by_label("API key")).to_have_value("")
    await type_key(visitor.page, await site.key("kay", "reviewer"))
    await expect(visitor.page).to_have_url(f"{site.url}/?limit=7")
    await expect(visitor.page).to_have_title(HOME)


async def test_a_deep_link_is_reached_after_the_provider(site: SignedSite, visitor: Visitor) -> None:
    """A run's address, as a message may have it."""
    page = await site.sign_in(visitor, address=site.url + site.run_path)
    await expect(page.locator("body")).to_contain_text("a red bicycle")


async def test_no_link_leads_elsewhere(site: SignedSite, visitor: Visitor) -> None:
    """In no spelling that a browser reads as another host is a sign-in offered; one that is encoded stays on this host."""
    visitor.incidents.expect("^422: GET .*/signin")
    visitor.incidents.expect("^404: GET .*/%2Felsewhere.example")
    for there in ("https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "/\t/elsewhere.example"):
        shown = await visitor.page.goto(f"{site.url}/signin?next={quote(there, safe='')}")
        assert shown is not None
        assert shown.status == 422
    await visitor.page.goto(f"{site.url}/signin?next={quote('/%2Felsewhere.example', safe='')}")
    await type_key(visitor.page, await site.key("kay", "reviewer"))
    await expect(visitor.page).to_have_url(f"{site.url}/%2Felsewhere.example")


@pytest.mark.usefixtures("chromium")
async def test_nothing_is_shown_after_the_sign_out(site: SignedSite) -> None:
    """Neither in a second tab, nor by "back" where the browser keeps pages as they were left."""
    async with running_chromium(keeps_pages=True) as browser, new_visitor(browser) as visitor:
        page = await site.sign_in(visitor)
        second = await visitor.context.new_page()
        await second.goto(site.url)
        await expect(second).to_have_title(HOME)
        await page.get_by_role("button", name="Sign out").click()
        await expect(page).to_have_url(f"{site.url}/signin")
        assert [one["name"] for one in await visitor.context.cookies(site.url)] == ["sayso_form"]
        async with page.expect_request(f"{site.url}/"):  # a page that was kept would be shown without one
            await page.go_back(wait_until="commit")
        await expect(page).to_have_title("Sayso: Sign in")
        await expect(page.locator("body")).not_to_contain_text("bicycle")
        await second.reload()
        await expect(second).to_have_title("Sayso: Sign in")


async def test_a_person_without_a_role_is_told_whom_to_ask(site: SignedSite, visitor: Visitor) -> None:
    """And can sign out again."""
    visitor.incidents.expect("^403: GET .*/$")
    page = await site.sign_in(visitor, "zoe")
    await expect(page.get_by_role("heading")).to_have_text("You have no role yet")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_title("Sayso: Sign in")


async def test_a_person_who_denies_can_start_again(site: SignedSite, visitor: Visitor) -> None:
    """The page says what happened."""
    site.expect_provider(visitor)
    visitor.incidents.expect("^400: GET .*/signin/callback")
    await visitor.page.goto(f"{site.url}/")
    await visitor.page.get_by_role("link", name="Sign in with").click()
    await visitor.page.get_by_role("button", name="Deny").click()
    await expect(visitor.page.locator("body")).to_contain_text("You cancelled the sign-in.")
    await visitor.page.get_by_role("link", name="Start again").click()
    await expect(visitor.page).to_have_title("Sayso: Sign in")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the focus is on a link, field or button of this name; it has to be seen there."""
    focused = page.locator(":focus")
    for _ in range(10):
        await page.keyboard.press("Tab")
        if await focused.count() and name in await focused.aria_snapshot():
            assert await focused.evaluate("element => getComputedStyle(element).outlineStyle") != "none"
            return
    pytest.fail(f"the focus never comes to {name!r}")


async def test_the_keyboard_alone_signs_in_and_out(site: SignedSite, visitor: Visitor) -> None:
    """Each stop of the focus is to be seen. Each page has a language, one heading, and a label for each field."""
    page = visitor.page
    await page.goto(f"{site.url}/")
    await tab_to(page, "Sign in with")
    await tab_to(page, "API key")
    await page.keyboard.type(await site.key("kay", "reviewer"))
    assert await page.locator("html[lang=en] h1").count() == 1
    fields = page.locator("input:not([type=hidden])")
    assert await fields.evaluate_all("fields => fields.map(field => field.labels.length)") == [1]
    await page.keyboard.press("Enter")
    await expect(page).to_have_title(HOME)
    assert await page.locator("html[lang=en] h1").count() == 1
    await tab_to(page, "payload review")
    await tab_to(page, "Sign out")
    await page.keyboard.press("Enter")
    await expect(page).to_have_title("Sayso: Sign in")


FOREIGN = """<!doctype html>
<link rel="icon" href="data:,">
<form method="post" action="{run}/approve"><button>Approve</button></form>
<form method="post" action="{gateway}/signout"><button>Leave</button></form>
<script>
const socket = new WebSocket("{socket}");
socket.onopen = () => {{ socket.opened = true; socket.close(); }};
socket.onclose = async () => {{
  await fetch("{run}/approve", {{ method: "POST", mode: "no-cors", credentials: "include", body: "{{}}" }});
  document.title = socket.opened ? "opened" : "refused";
}};
</script>
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_foreign_page_gets_nothing_done(site: SignedSite, visitor: Visitor, host: str) -> None:
    """Of another port, to which the browser sends the cookie, or of another site: no decision, no sign-out, no socket."""
    await site.sign_in(visitor)
    before, page = await site.view(), visitor.page
    html = FOREIGN.format(run=site.url + site.run_path, gateway=site.url, socket=site.stack.ws_url)
    visitor.incidents.expect("^403: POST ")
    visitor.incidents.expect("WebSocket connection to .* failed")
    async with served(Starlette(routes=[Route("/", lambda _: HTMLResponse(html))])) as port:
        for button in ("Approve", "Leave"):
            await page.goto(f"http://{host}:{port}/")
            await expect(page).to_have_title("refused")
            await page.get_by_role("button", name=button).click()
            await expect(page.locator("body")).to_contain_text("may not use this service")
    assert await site.view() == before
    await page.goto(site.url)
    await expect(page).to_have_title(HOME)
