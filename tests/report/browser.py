"""Opens a report in Chromium as a reader would, and prints what is seen as one JSON object.

    browser.py REPORT [SEARCH]
"""

import json
import sys
import time

from playwright.sync_api import sync_playwright

ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
READY = "html[data-ready]"

COUNTS = """() => Object.fromEntries([...document.querySelectorAll('[data-count]')]
    .map((one) => [one.dataset.count, Number(one.dataset.value)]))"""

ROWS = """() => [...document.querySelectorAll('#tasks tbody tr:not(.gap)')]
    .map((row) => [...row.cells].map((cell) => cell.textContent))"""

LINKS = "() => [...document.querySelectorAll('#tasks tbody a')].map((link) => [link.textContent, link.href])"

SORTS = """() => Object.fromEntries([...document.querySelectorAll('#tasks th[data-column]')]
    .map((head) => [head.dataset.column, head.ariaSort]))"""

# The least contrast of the colours that text has on the grounds it stands on.
CONTRAST = """() => {
    const probe = document.body.appendChild(document.createElement('i'));
    const light = (name) => {
        probe.style.color = `var(--${name})`;
        const [r, g, b] = getComputedStyle(probe).color.match(/[\\d.]+/g).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const pairs = ['ink', 'soft', 'link', 'failed', 'cut', 'running'].map((ink) => ratio(ink, 'page'));
    pairs.push(ratio('ink', 'raised'), ratio('soft', 'raised'));
    probe.remove();
    return Math.min(...pairs);
}"""

# How long the page keeps the reader waiting for what a button or a word does, milliseconds.
TIMED = """async () => {
    const took = (work) => { const begun = performance.now(); work(); return performance.now() - begun; };
    const press = (column) => document.querySelector(`th[data-column=${column}] button`).click();
    const times = {};
    for (const column of ['duration', 'file', 'kind', 'memory']) times[`sort by ${column}`] = took(() => press(column));
    const search = document.getElementById('search');
    const changed = new Promise((done) => new MutationObserver(() => done(performance.now()))
        .observe(document.getElementById('shown'), { childList: true }));
    const begun = performance.now();
    search.value = '7';
    search.dispatchEvent(new Event('input', { bubbles: true }));
    times.search = await changed - begun;
    search.value = '';
    document.getElementById('filters').reset();
    await new Promise((done) => setTimeout(done));
    return times;
}"""


def opened(browser, report, seen, **options):
    page = browser.new_context(**options).new_page()
    page.on("console", lambda message: seen["said"].append(message.text))
    page.on("pageerror", lambda error: seen["said"].append(str(error)))
    page.on("dialog", lambda dialog: (seen["said"].append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.goto(f"file://{report}")
    page.wait_for_selector(READY, state="attached")
    return page


def wait_for(page, script, arg=None):
    """Until the script says so; playwright's own way to wait is code from text, which the page forbids."""
    until = time.monotonic() + 30
    while not page.evaluate(script, arg):
        assert time.monotonic() < until, f"waited 30 s in vain: {script}"
        page.wait_for_timeout(10)


def status_after(page, action):
    """What the table says after an action that changes how many rows it shows."""
    before = page.inner_text("#shown")
    action()
    wait_for(page, "(before) => document.getElementById('shown').textContent !== before", arg=before)
    return page.inner_text("#shown")


def cleared(page):
    return status_after(page, lambda: page.click("#filters button[type=reset]"))


def sorted_by(page, column):
    page.click(f"th[data-column={column}] button")
    return {"sorts": page.evaluate(SORTS), "rows": page.evaluate(ROWS)}


def by_keyboard(page):
    page.keyboard.press("Tab")
    first = page.evaluate("document.activeElement.className")
    page.keyboard.press("Enter")
    wait_for(page, "document.activeElement.id === 'tasks-title'")
    page.focus("th[data-column=index] button")
    page.keyboard.press("Enter")
    once = page.evaluate(SORTS)["index"]
    page.keyboard.press("Space")
    twice = page.evaluate(SORTS)["index"]
    page.focus("#tasks")
    page.keyboard.press("End")
    wait_for(page, "!document.querySelector('#tasks tbody tr:last-child').classList.contains('gap')")
    return {"first": first, "sorts": [once, twice], "last": page.evaluate(ROWS)[-1][0]}


COLORS = """() => {
    const canvas = document.getElementById('timeline');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
}"""


def pixels(page):
    """How many colours the timeline has, and of another part of it after a key."""
    page.focus("#timeline")
    wait_for(page, "document.getElementById('timeline').width > 300")
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(COLORS)


def unpainted(browser, report, seen):
    """What there is of a page that is never painted, as of one in a window that nobody looks at."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.add_init_script("window.requestAnimationFrame = () => 0")
    page.goto(f"file://{report}")
    page.wait_for_selector(READY, state="attached")
    return {"colors": page.evaluate(COLORS), "rows": len(page.evaluate(ROWS))}


# The least size of text in charts as they are shown, and how many texts each has.
TEXTS = """() => [...document.querySelectorAll('.chart svg')].map((svg) => {
    const texts = [...svg.querySelectorAll('text')];
    const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
    return [Math.min(...texts.map((text) => parseFloat(getComputedStyle(text).fontSize) * scale)), texts.length];
})"""


def pointed_at(page):
    box = page.locator("#timeline").bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 5)
    return page.inner_text("#timeline-info")


NOTE = """() => { const note = document.getElementById('print-note'); return note.hidden ? '' : note.textContent; }"""


def printed(page):
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    seen = {"rows": len(page.evaluate(ROWS)), "note": page.evaluate(NOTE)}
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    return seen


def main():
    report, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "obs"
    seen = {"said": [], "requests": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        page = opened(browser, report, seen, color_scheme="light", viewport={"width": 1280, "height": 900})
        seen["paint"] = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime")
        seen["counts"] = page.evaluate(COUNTS)
        seen["standing"] = page.inner_text("[data-standing]")
        seen["rows"] = page.evaluate(ROWS)
        seen["links"] = page.evaluate(LINKS)
        seen["status"] = page.inner_text("#shown")
        seen["colors"] = pixels(page)
        seen["pointed"] = pointed_at(page)
        seen["duration"] = [sorted_by(page, "duration"), sorted_by(page, "duration")]
        seen["times"] = page.evaluate(TIMED)
        seen["searched"] = status_after(page, lambda: page.fill("#search", word))
        seen["cleared"] = cleared(page)
        seen["failed"] = status_after(page, lambda: page.select_option("#by-state", "1"))
        cleared(page)
        # Where nothing was clicked yet, the first key leads to the beginning.
        fresh = opened(browser, report, seen)
        seen["keyboard"] = by_keyboard(fresh)
        fresh.close()
        page.bring_to_front()
        if page.locator("[data-kind]").count() > 0:
            seen["kind"] = status_after(page, lambda: page.locator("[data-kind]").first.click())
            cleared(page)
        seen["printed"] = printed(page)
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        seen["grounds"] = [page.evaluate(ground), page.click("#theme") or page.evaluate(ground)]
        seen["contrast"] = [page.click("#theme") or page.evaluate(CONTRAST) for _ in range(2)]
        seen["unpainted"] = unpainted(browser, report, seen)
        narrow = opened(browser, report, seen, color_scheme="dark", viewport={"width": 400, "height": 800})
        seen["texts"] = page.evaluate(TEXTS) + narrow.evaluate(TEXTS)
        seen["overflow"] = narrow.evaluate("document.documentElement.scrollWidth - innerWidth")
        browser.close()
    print(json.dumps(seen))


main()
