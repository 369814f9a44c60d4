"""The site opens from disk, on a desk and on a phone, by day and by night; links lead somewhere."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from browser import wait_for_maths
from helpers import ROOT

pytestmark = pytest.mark.site

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}

# What is wrong with a page, in the browser. A box that scrolls may hold what is wider than the page, but
# a box may not hide it
FAULTS = """() => {
  const faults = [], width = document.documentElement.clientWidth;
  const say = (what, element) =>
    faults.push(`${what}: ${element.outerHTML.slice(0, 80).replace(/\\s+/g, " ")}`);
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) faults.push(`${headings} headings of the first rank`);
  for (const e of document.querySelectorAll("mjx-merror, [data-mml-node=merror]")) say("bad maths", e);
  for (const e of document.querySelectorAll(".math"))
    if (e.querySelectorAll("mjx-container").length !== 1) say("maths that is not set", e);
  for (const e of document.querySelectorAll("img"))
    if (!e.complete || !e.naturalWidth) say("no picture", e);
  if (document.documentElement.scrollWidth > width) faults.push("the page is wider than the window");
  const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX);
  for (const e of document.querySelectorAll("article :not(pre *), footer *")) {
    if (e.closest("svg, mjx-assistive-mml") || !e.getClientRects().length) continue;
    const box = e.getBoundingClientRect();
    let around = e.parentElement;
    while (around && !scrolls(around)) around = around.parentElement;
    if (!around && box.right > width + 1) say("sticks out", e);
    const cuts = getComputedStyle(e).overflowX === "hidden";
    if (cuts && e.scrollWidth > e.clientWidth + 1) say("is cut", e);
  }
  const text = document.createTreeWalker(document.querySelector("article") ?? document.body, 4);
  while (text.nextNode()) {
    const { data, parentElement } = text.currentNode;
    if (/\\$\\$|\\$[^$]*\\\\[a-z]+[^$]*\\$/.test(data) && !parentElement.closest("pre, code, script"))
      say("raw maths", parentElement);
  }
  return faults;
}"""


def pages(site):
    found = sorted(site.rglob("*.html"))
    assert site / "index.html" in found
    return found


@pytest.mark.parametrize("size", SIZES)
def test_every_page_opens_from_disk(site, browser_page, request, size):
    page, faults = browser_page(*SIZES[size]), []
    folder = request.config.option.screenshots
    for path in pages(site):
        name = path.relative_to(site).as_posix()
        page.emulate_media(color_scheme="light")
        page.goto(path.as_uri())
        wait_for_maths(page)
        for light in ("light", "dark"):
            page.emulate_media(color_scheme=light)
            faults += [f"{name}, {light}: {fault}" for fault in page.evaluate(FAULTS)]
            if folder and not name.startswith("source/"):
                page.screenshot(
                    path=folder / f"{size}-{light}" / f"{path.stem}.png", full_page=True
                )
    assert faults == []


def test_faults_are_seen(browser_page, tmp_path):
    """What the test of all pages rests on."""
    path = tmp_path / "page.html"
    path.write_text("""<body><h1>one</h1><h1>two</h1><article>
      <div style="width: 3000px">wide</div>
      <div style="overflow-x: scroll"><p style="width: 3000px">scrolls</div>
      <div style="overflow: hidden; width: 9px"><p style="width: 99px">cut</p></div>
      <span class="math">x</span> <mjx-merror>y</mjx-merror> $$z$$ <p>price $19 and \\$20 <p>$\\sigma$
    </article>""")
    page = browser_page()
    page.goto(path.as_uri())
    assert [fault.partition(":")[0] for fault in page.evaluate(FAULTS)] == [
        "2 headings of the first rank",
        "bad maths",
        "maths that is not set",
        "the page is wider than the window",
        "sticks out",
        "is cut",
        "raw maths",
        "raw maths",
    ]


def test_night_is_dark(site, browser_page):
    """The page, code and tables are dark, and pictures are turned over."""
    page = browser_page(dark=True)
    page.goto((site / "gallery.html").as_uri())
    light = "e => getComputedStyle(e).backgroundColor.match(/\\d+/g).slice(0, 3).some(x => x > 80)"
    for where in ("body", "div.highlight", "th"):
        assert not page.eval_on_selector(where, light), where
    assert "invert" in page.eval_on_selector("article img", "e => getComputedStyle(e).filter")


def test_search_finds_a_name_of_the_reference(site, browser_page):
    page = browser_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=softmax_cross_entropy")
    page.wait_for_selector('#search-results a[href^="api_training.html"]')


class Links(HTMLParser):
    """The links of a page, and the places that links can lead to."""

    def __init__(self, text):
        super().__init__()
        self.links, self.places = [], {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


@pytest.fixture(scope="module")
def links(site):
    return {path: Links(path.read_text(encoding="utf-8")) for path in pages(site)}


def test_links_within_the_site_lead_somewhere(links):
    broken = []
    for path, page in links.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            places = links[target].places if target in links else {parts.fragment}
            if not target.is_file() or unquote(parts.fragment) not in places:
                broken.append(f"{path.name}: {link}")
    assert broken == []


def test_links_out_of_the_site_are_well_formed(links):
    """There may be no network where this runs: ``sphinx -b linkcheck`` asks whether they are there."""
    outside = {link for page in links.values() for link in page.links if urlsplit(link).scheme}
    for link in outside:
        assert re.fullmatch(r"https://[\w.-]+\.[a-z]+(/[^\s<>\"]*)?|data:[^\s]*", link), link


def test_pages_that_draw_have_pictures(site, links):
    """Also where the shell that built them had chosen a backend of Matplotlib for files."""
    draws = [p.stem for p in (ROOT / "docs").glob("*.md") if "matplotlib.pyplot" in p.read_text()]
    assert len(draws) > 10
    for name in draws:
        made = [link for link in links[site / f"{name}.html"].links if link.endswith(".svg")]
        assert made, name


def test_nothing_of_this_machine_is_on_a_page(site, links):
    """No path of a folder, and no name of a user."""
    for path in links:
        if "source" not in path.relative_to(site).parts:
            assert not re.search(r"/(home|root|tmp|Users)/", path.read_text(encoding="utf-8")), path
