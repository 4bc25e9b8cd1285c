// Begins when the page has been seen; ties the parts together.
"use strict";

function begin() {
    hasBegun = true;
    const element = (id) => document.getElementById(id);
    const data = readData();
    const reveal = (part) => {
        part.hidden = false;
        return part;
    };
    reveal(document.querySelector(".timeline"));
    const timeline = new Timeline(data, element("timeline"), element("timeline-info"));
    const table = new TaskTable(data, {
        region: reveal(element("tasks")),
        form: reveal(element("filters")),
        search: element("search"),
        byState: element("by-state"),
        byKind: element("by-kind"),
        byReplica: element("by-replica"),
        status: element("shown"),
        note: element("print-note"),
    });
    document.querySelectorAll("[data-kind]").forEach((button) => {
        button.addEventListener("click", () => table.showKind(button.dataset.kind));
    });
    timeline.draw();
    switchTheme(reveal(element("theme")), timeline);
    window.addEventListener("beforeprint", () => {
        table.print();
        inLight(() => timeline.draw());
    });
    window.addEventListener("afterprint", () => {
        table.endPrint();
        timeline.draw();
    });
    document.documentElement.dataset.ready = "";
}

function switchTheme(button, timeline) {
    const system = matchMedia("(prefers-color-scheme: dark)");
    const isDark = () => (document.documentElement.style.colorScheme || (system.matches ? "dark" : "light")) === "dark";
    const name = () => (button.textContent = isDark() ? "Light colours" : "Dark colours");
    button.addEventListener("click", () => {
        document.documentElement.style.colorScheme = isDark() ? "light" : "dark";
        name();
        timeline.drawSoon();
    });
    system.addEventListener("change", () => {
        name();
        timeline.drawSoon();
    });
    name();
}

// Paper is white.
function inLight(draw) {
    const { style } = document.documentElement;
    const before = style.colorScheme;
    style.colorScheme = "light";
    draw();
    style.colorScheme = before;
}

// Once it has been painted, or soon: a page that nobody looks at is never painted.
let hasBegun = false;
const beginOnce = () => {
    if (!hasBegun) begin();
};
requestAnimationFrame(() => setTimeout(beginOnce));
setTimeout(beginOnce, 100);
