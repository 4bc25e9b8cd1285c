// The table of tasks: sorted and filtered as numbers, and only the rows in sight are made.
"use strict";

const MARGIN_ROWS = 10;
const PRINTED_ROWS = 300;

class TaskTable {
    constructor(data, elements) {
        this.data = data;
        Object.assign(this, elements);
        this.body = this.region.querySelector("tbody");
        this.table = this.region.querySelector("table");
        this.sorting = { column: "index", isDescending: false };
        this.sorted = Uint32Array.from({ length: data.count }, (_, task) => task);
        this.columns = columnsOf(data);
        const heads = this.region.querySelectorAll("th[data-column]");
        this.columns = Object.fromEntries([...heads].map((head) => [head.dataset.column, this.columns[head.dataset.column]]));
        this.fillKinds();
        this.listen();
        this.filter();
    }

    fillKinds() {
        const { kinds } = this.data;
        const many = 200;
        this.byKind.append(...kinds.slice(0, many).map(([cause, line], kind) => new Option(`${cause}: ${line}`, kind)));
    }

    listen() {
        for (const head of this.region.querySelectorAll("th[data-column]")) {
            head.querySelector("button").addEventListener("click", () => this.sortBy(head.dataset.column));
        }
        this.form.addEventListener("input", () => this.filterSoon());
        this.form.addEventListener("reset", () => setTimeout(() => this.filter()));
        this.form.addEventListener("submit", (event) => event.preventDefault());
        this.region.addEventListener("scroll", () => this.drawSoon(), { passive: true });
        new ResizeObserver(() => this.drawSoon()).observe(this.region);
    }

    sortBy(column) {
        const { sorting } = this;
        sorting.isDescending = sorting.column === column && !sorting.isDescending;
        sorting.column = column;
        const key = this.columns[column].key();
        const sign = sorting.isDescending ? -1 : 1;
        // What is not known comes last either way, and equal ones stay in the order of the list.
        this.sorted.sort((one, other) => {
            const [a, b] = [key[one], key[other]];
            if (a === b) return one - other;
            if (a !== a || b !== b) return (a !== a) - (b !== b) || one - other;
            return sign * (a - b);
        });
        this.filter();
    }

    filterSoon() {
        clearTimeout(this.due);
        this.due = setTimeout(() => this.filter(), 60);
    }

    filter() {
        const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const [state, kind, replica] = [this.byState.value, this.byKind.value, this.byReplica.value];
        const texts = words.length > 0 ? this.texts() : [];
        const { data } = this;
        this.shown = this.sorted.filter((task) =>
            (state === "" || data.state[task] === Number(state)) &&
            (kind === "" || data.kind[task] === Number(kind)) &&
            (replica === "" || data.replica[task] === Number(replica)) &&
            words.every((word) => texts[task].includes(word)));
        this.region.scrollTop = 0;
        for (const head of this.region.querySelectorAll("th[data-column]")) {
            const isSorted = head.dataset.column === this.sorting.column;
            head.ariaSort = isSorted ? (this.sorting.isDescending ? "descending" : "ascending") : "none";
        }
        const all = `${countText(data.count)} tasks`;
        this.status.textContent = this.shown.length === data.count ? all : `${countText(this.shown.length)} of ${all}`;
        this.table.setAttribute("aria-rowcount", this.shown.length + 1);
        this.draw();
    }

    // What is searched, made when somebody first searches.
    texts() {
        this.lowered ??= Array.from({ length: this.data.count }, (_, task) =>
            `${this.data.path(task)} ${this.data.reason(task)}`.toLowerCase());
        return this.lowered;
    }

    showKind(kind) {
        this.form.reset();
        if (![...this.byKind.options].some((option) => option.value === kind)) {
            const [cause, line] = this.data.kinds[kind];
            this.byKind.append(new Option(`${cause}: ${line}`, kind));
        }
        this.byKind.value = kind;
        setTimeout(() => {
            this.filter();
            document.getElementById("tasks-title").focus();
            this.region.scrollIntoView({ block: "center" });
        });
    }

    drawSoon() {
        this.drawing ??= requestAnimationFrame(() => this.draw());
    }

    draw() {
        this.drawing = undefined;
        if (this.isPrinting) return;
        const height = this.rowHeight();
        // On paper the region is as high as all rows, and while that comes and goes nobody sees more than a window of it.
        const inSight = Math.ceil(Math.min(this.region.clientHeight, innerHeight) / height);
        const first = Math.max(0, Math.floor(this.region.scrollTop / height) - MARGIN_ROWS);
        const end = Math.min(this.shown.length, first + inSight + 2 * MARGIN_ROWS);
        this.fill(first, end, height);
    }

    fill(first, end, height) {
        const rows = [];
        const gap = (height) => gapOf(height, Object.keys(this.columns).length);
        if (first > 0) rows.push(gap(first * height));
        for (let place = first; place < end; place += 1) rows.push(this.row(place));
        if (end < this.shown.length) rows.push(gap((this.shown.length - end) * height));
        this.body.replaceChildren(...rows);
    }

    rowHeight() {
        return 1.75 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    }

    row(place) {
        const task = this.shown[place];
        const row = document.createElement("tr");
        row.setAttribute("aria-rowindex", place + 2);
        for (const [name, column] of Object.entries(this.columns)) {
            const cell = document.createElement(name === "file" ? "th" : "td");
            if (name === "file") cell.scope = "row";
            const text = column.text(task);
            // Names may hold letters that turn the direction of what follows.
            const holder = name === "file" || name === "kind" ? cell.appendChild(document.createElement("bdi")) : cell;
            holder.textContent = text;
            if (name === "file") cell.title = this.data.path(task);
            if (name === "kind") cell.title = text;
            if (column.links) cell.replaceChildren(...column.links(task));
            if (name === "state") cell.className = `is-${this.data.state[task]}`;
            row.append(cell);
        }
        return row;
    }

    // For paper: the first rows in the present order, and a note of what is not there.
    print() {
        this.isPrinting = true;
        const end = Math.min(this.shown.length, PRINTED_ROWS);
        this.fill(0, end, 0);
        this.body.querySelector(".gap")?.remove();
        this.note.hidden = end === this.data.count;
        this.note.textContent = `Printed: the first ${countText(end)} of ${countText(this.shown.length)} rows that the table shows; the run has ${countText(this.data.count)} tasks.`;
    }

    endPrint() {
        this.isPrinting = false;
        this.note.hidden = true;
        this.draw();
    }
}

function gapOf(height, columns) {
    const row = document.createElement("tr");
    row.className = "gap";
    row.ariaHidden = "true";
    const cell = row.insertCell();
    cell.colSpan = columns;
    cell.style.height = `${height}px`;
    row.style.height = `${height}px`;
    return row;
}

// A link to a product, by the name that was given to it, or its own.
function anchor({ name, href }) {
    const link = document.createElement("a");
    link.href = href;
    link.append(document.createElement("bdi"));
    link.firstChild.textContent = name;
    return link;
}

// Of each column, what it shows and the numbers it is sorted by.
function columnsOf(data) {
    const ranks = () => {
        const order = Array.from({ length: data.count }, (_, task) => task);
        const paths = order.map(data.path);
        order.sort((one, other) => (paths[one] < paths[other] ? -1 : Number(paths[one] > paths[other])));
        const rank = new Float64Array(data.count);
        order.forEach((task, place) => (rank[task] = place));
        return rank;
    };
    let byPath;
    const kinds = () => Float64Array.from(data.kind, (kind) => (kind < 0 ? NaN : kind));
    const column = (key, text) => ({ key: () => key, text });
    return {
        index: column(Array.from({ length: data.count }, (_, task) => task), (task) => String(data.first_index + task)),
        file: { key: () => (byPath ??= ranks()), text: (task) => data.name[task] },
        state: column(data.state, (task) => STATES[data.state[task]]),
        kind: { key: kinds, text: data.reason },
        replica: column(data.replica, (task) => String(data.replica[task])),
        attempts: column(data.attempts, (task) => String(data.attempts[task])),
        start: column(data.start, (task) => timeText(data.begun + data.start[task])),
        duration: column(data.duration, (task) => durationText(data.duration[task])),
        cpu: column(data.cpu, (task) => durationText(data.cpu[task])),
        memory: column(data.memory, (task) => bytesText(data.memory[task] * 1024)),
        size: column(data.size, (task) => bytesText(data.size[task])),
        products: {
            key: () => Float64Array.from({ length: data.count }, (_, task) => data.links(task).length),
            text: () => "",
            links: (task) => data.links(task).flatMap((link, place) => (place > 0 ? [", ", anchor(link)] : [anchor(link)])),
        },
    };
}
