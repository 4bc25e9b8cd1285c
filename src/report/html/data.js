// The data of the run, and how its values are written for people.
"use strict";

const STATES = ["ok", "failed", "running", "missing"];
const ENDS = ["ok", "failed", "running", "cut short"];

// Values that are written as differences to the one before.
function summed(differences) {
    let value = 0;
    return Float64Array.from(differences, (difference) => (value += difference));
}

// `null` becomes NaN.
function numbers(values) {
    return Float64Array.from(values, (value) => (value === null ? NaN : value));
}

function digits(text) {
    return Uint8Array.from({ length: text.length }, (_, at) => text.charCodeAt(at) - 48);
}

function readData() {
    const element = document.getElementById("data");
    const data = JSON.parse(element.textContent);
    element.remove();
    const { spans } = data;
    return {
        ...data,
        count: data.name.length,
        state: digits(data.state),
        start: numbers(data.start),
        duration: numbers(data.duration),
        cpu: numbers(data.cpu),
        memory: numbers(data.memory),
        size: numbers(data.size),
        spans: {
            count: spans.task.length,
            task: summed(spans.task),
            replica: summed(spans.replica),
            begin: summed(spans.begin),
            slot: spans.slot,
            duration: spans.duration,
            end: digits(spans.end),
            source: spans.source,
        },
        path: (task) => data.folders[data.folder[task]] + data.name[task],
        // What a task made: links, with the names to show for them.
        links: (task) => data.products.filter(({ folder }) => folder[task] >= 0).map(({ name, folder, base }) => ({
            name: name ?? unescaped(base[task]),
            href: data.product_folders[folder[task]] + base[task],
        })),
        reason: (task) => (data.kind[task] < 0 ? "" : data.kinds[data.kind[task]].join(": ")),
    };
}

// The name that a link escapes; what is no text stays as it is.
function unescaped(link) {
    try {
        return decodeURIComponent(link);
    } catch {
        return link;
    }
}

function durationText(ms) {
    if (Number.isNaN(ms)) return "";
    if (ms < 1000) return `${ms} ms`;
    if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
    const seconds = Math.round(ms / 1000);
    const parts = [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]];
    const text = [];
    let rest = seconds;
    for (const [unit, name] of parts) {
        const whole = Math.floor(rest / unit);
        rest -= whole * unit;
        if (whole > 0) text.push(`${whole}${name}`);
    }
    return text.slice(0, 3).join(" ");
}

function bytesText(bytes) {
    if (Number.isNaN(bytes)) return "";
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    let value = bytes;
    while (value >= 1024 && unit < units.length - 1) {
        value /= 1024;
        unit += 1;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

// In UTC, as the journals have it.
function timeText(ms) {
    if (Number.isNaN(ms)) return "";
    const text = new Date(ms).toISOString();
    return `${text.slice(5, 10)} ${text.slice(11, 19)}`;
}

function countText(count) {
    return count.toLocaleString("en");
}
