// The timeline: a row for each replica and slot. Every attempt adds to the pixels it covers the part of them that it
// covers, so that rows may be thinner than a pixel, and a hundred thousand attempts are drawn in a moment.
"use strict";

const LEFT = 80;
const BOTTOM = 24;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5,
    36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5];

class Timeline {
    constructor(data, canvas, info) {
        this.data = data;
        this.canvas = canvas;
        this.info = info;
        this.hint = info.textContent;
        this.layOutRows();
        this.showAll();
        this.listen();
    }

    // Rows of a replica follow each other; `first` has the first of each, `begins` where in the attempts each row begins.
    layOutRows() {
        const { launches, spans } = this.data;
        const slots = new Map();
        let end = 1;
        for (const [replica, used, , last] of launches) {
            slots.set(replica, Math.max(slots.get(replica) ?? 1, used));
            end = Math.max(end, last);
        }
        this.first = new Map();
        this.owner = [];
        for (const replica of [...slots.keys()].sort((one, other) => one - other)) {
            this.first.set(replica, this.owner.length);
            for (let slot = 1; slot <= slots.get(replica); slot += 1) this.owner.push([replica, slot]);
        }
        this.rows = Math.max(1, this.owner.length);
        this.end = end;
        this.slots = slots;
        this.begins = new Uint32Array(this.rows + 1).fill(spans.count);
        for (let at = spans.count - 1; at >= 0; at -= 1) this.begins[this.rowOf(at)] = at;
        for (let row = this.rows - 1; row >= 0; row -= 1) {
            this.begins[row] = Math.min(this.begins[row], this.begins[row + 1]);
        }
    }

    rowOf(at) {
        const { replica, slot } = this.data.spans;
        return (this.first.get(replica[at]) ?? 0) + slot[at] - 1;
    }

    showAll() {
        this.view = { from: 0, to: this.end, top: 0, bottom: this.rows };
    }

    // Keeps what is shown within what there is.
    show(from, to, top, bottom) {
        const time = Math.min(this.end, Math.max(10, to - from));
        const rows = Math.min(this.rows, Math.max(1, bottom - top));
        from = Math.min(Math.max(0, from), this.end - time);
        top = Math.min(Math.max(0, top), this.rows - rows);
        this.view = { from, to: from + time, top, bottom: top + rows };
        this.drawSoon();
    }

    change(action) {
        const { from, to, top, bottom } = this.view;
        const [time, rows] = [to - from, bottom - top];
        const zoom = (factor) => this.show(
            from + (time * (1 - factor)) / 2, to - (time * (1 - factor)) / 2,
            top + (rows * (1 - factor)) / 2, bottom - (rows * (1 - factor)) / 2,
        );
        const move = (x, y) => this.show(from + x * time, to + x * time, top + y * rows, bottom + y * rows);
        const actions = {
            in: () => zoom(0.5),
            out: () => zoom(2),
            left: () => move(-0.25, 0),
            right: () => move(0.25, 0),
            up: () => move(0, -0.25),
            down: () => move(0, 0.25),
            all: () => this.show(0, this.end, 0, this.rows),
        };
        actions[action]?.();
    }

    drawSoon() {
        this.due ??= requestAnimationFrame(() => this.draw());
    }

    draw() {
        this.due = undefined;
        const scale = Math.min(2, window.devicePixelRatio || 1);
        const box = this.canvas.getBoundingClientRect();
        if (box.width < LEFT + 10) return;
        this.canvas.width = Math.round(box.width * scale);
        this.canvas.height = Math.round(box.height * scale);
        this.plot = { x: LEFT, width: box.width - LEFT - 1, height: box.height - BOTTOM };
        const context = this.canvas.getContext("2d");
        this.colors = this.readColors();
        const width = Math.round(this.plot.width * scale);
        const height = Math.round(this.plot.height * scale);
        context.putImageData(this.image(context, width, height), Math.round(LEFT * scale), 0);
        context.scale(scale, scale);
        this.drawTakenOver(context);
        this.drawAxes(context);
        if (this.drag) this.drawDrag(context);
    }

    readColors() {
        const legend = document.querySelector(".timeline .legend");
        const color = (name) => {
            const text = getComputedStyle(legend.querySelector(`.${name}`)).backgroundColor;
            return text.match(/[\d.]+/g).slice(0, 3).map(Number);
        };
        const page = getComputedStyle(document.documentElement).backgroundColor.match(/[\d.]+/g).map(Number);
        return { page, idle: color("idle"), taken: legend.querySelector(".taken"), ends: ["ok", "failed", "running", "cut"].map(color) };
    }

    image(context, width, height) {
        const { from, to, top, bottom } = this.view;
        const [perMs, perRow] = [width / (to - from), height / (bottom - top)];
        const layers = Array.from({ length: 5 }, () => new Float32Array(width * height));
        const gap = perRow >= 4 ? 1 : 0;
        const add = (layer, begin, end, row, rows, least) => {
            const x0 = Math.max(0, (begin - from) * perMs);
            const x1 = Math.min(width, Math.max((end - from) * perMs, x0 + least));
            const y0 = Math.max(0, (row - top) * perRow);
            const y1 = Math.min(height, (row + rows - top) * perRow - gap);
            cover(layers[layer], width, x0, x1, y0, y1);
        };
        for (const [replica, , begin, end] of this.data.launches) {
            const row = this.first.get(replica);
            for (let slot = 0; slot < this.slots.get(replica); slot += 1) add(4, begin, end, row + slot, 1, 0);
        }
        const { begin, duration, end } = this.data.spans;
        const last = this.begins[Math.min(this.rows, Math.ceil(bottom))];
        let row = Math.floor(top);
        for (let at = this.begins[row]; at < last; at += 1) {
            while (at >= this.begins[row + 1]) row += 1;
            const over = begin[at] + duration[at];
            if (over < from || begin[at] > to) continue;
            // Long bars that follow each other are told apart by a gap; failures are never too thin to be seen.
            const wide = duration[at] * perMs > 4 ? 1 / perMs : 0;
            add(end[at], begin[at] + wide, over, row, 1, end[at] === 0 ? 0 : 1);
        }
        return this.mix(context.createImageData(width, height), layers);
    }

    // A line below what another replica had before.
    drawTakenOver(context) {
        const { begin, duration, source } = this.data.spans;
        if (!source) return;
        const { from, to, top, bottom } = this.view;
        const [perMs, perRow] = [this.plot.width / (to - from), this.plot.height / (bottom - top)];
        const thick = Math.min(3, Math.max(1, perRow / 4));
        context.fillStyle = getComputedStyle(this.colors.taken).backgroundColor;
        const last = this.begins[Math.min(this.rows, Math.ceil(bottom))];
        let row = Math.floor(top);
        for (let at = this.begins[row]; at < last; at += 1) {
            while (at >= this.begins[row + 1]) row += 1;
            const over = begin[at] + duration[at];
            if (source[at] >= 0 || over < from || begin[at] > to) continue;
            const x0 = Math.max(0, (begin[at] - from) * perMs);
            const x1 = Math.min(this.plot.width, Math.max((over - from) * perMs, x0 + 1));
            const y = Math.min(this.plot.height, (row + 1 - top) * perRow) - thick;
            context.fillRect(LEFT + x0, y, x1 - x0, thick);
        }
    }

    mix(image, layers) {
        const { page, idle, ends } = this.colors;
        for (let at = 0; at < layers[4].length; at += 1) {
            const alive = Math.min(1, layers[4][at]);
            // Among many that are ok, a few that are not must be seen.
            const parts = ends.map((_, end) => (end === 0 ? layers[0][at] : Math.sqrt(layers[end][at])));
            const odd = Math.min(1, parts[1] + parts[2] + parts[3]);
            const scale = odd > 0 ? odd / (parts[1] + parts[2] + parts[3]) : 0;
            const ok = Math.min(1 - odd, parts[0]);
            for (let band = 0; band < 3; band += 1) {
                const ground = page[band] + (idle[band] - page[band]) * alive;
                let color = ground * (1 - odd - ok) + ends[0][band] * ok;
                for (let end = 1; end < 4; end += 1) color += ends[end][band] * parts[end] * scale;
                image.data[at * 4 + band] = color;
            }
            image.data[at * 4 + 3] = 255;
        }
        return image;
    }

    drawAxes(context) {
        const { from, to, top, bottom } = this.view;
        const style = getComputedStyle(this.info);
        context.fillStyle = style.color;
        context.font = `12px ${style.fontFamily}`;
        const { width, height } = this.plot;
        const step = STEPS.find((step) => ((to - from) / step) * 90 < width) ?? STEPS.at(-1);
        context.textAlign = "center";
        context.textBaseline = "top";
        for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
            const x = LEFT + ((time - from) / (to - from)) * width;
            context.fillRect(x, height, 1, 4);
            if (x > LEFT + 15 && x < LEFT + width - 15) context.fillText(time === 0 ? "0" : durationText(time), x, height + 7);
        }
        context.textAlign = "right";
        context.textBaseline = "middle";
        let free = -Infinity;
        for (let row = Math.floor(top); row < bottom; row += 1) {
            const [replica, slot] = this.owner[row] ?? [];
            const y = ((row + 0.5 - top) / (bottom - top)) * height;
            if (replica === undefined || y < free || y < 6 || y > height - 4) continue;
            const isFirst = slot === 1;
            if (!isFirst && height / (bottom - top) < 14) continue;
            context.fillText(isFirst ? `replica ${replica}` : `slot ${slot}`, LEFT - 6, y);
            free = y + 16;
        }
    }

    drawDrag(context) {
        const { x0, y0, x1, y1 } = this.drag;
        context.strokeStyle = getComputedStyle(this.info).color;
        context.strokeRect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
    }

    // Time and row at a place of the canvas.
    at(x, y) {
        const { from, to, top, bottom } = this.view;
        return [
            from + ((x - LEFT) / this.plot.width) * (to - from),
            top + (y / this.plot.height) * (bottom - top),
        ];
    }

    tell(x, y) {
        const [time, place] = this.at(x, y);
        const row = Math.floor(place);
        if (x < LEFT || !this.owner[row] || y > this.plot.height) {
            this.info.textContent = this.hint;
            return;
        }
        const { spans, begun } = this.data;
        const reach = ((this.view.to - this.view.from) / this.plot.width) * 2;
        let found = -1;
        for (let [low, high] = [this.begins[row], this.begins[row + 1]]; low < high;) {
            const middle = (low + high) >> 1;
            if (spans.begin[middle] <= time + reach) {
                found = middle;
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        const [replica, slot] = this.owner[row];
        const words = [`Replica ${replica}, slot ${slot}, ${timeText(begun + Math.max(0, time))} UTC:`];
        if (found >= 0 && spans.begin[found] + spans.duration[found] >= time - reach) {
            const task = spans.task[found];
            words.push(`task ${this.data.first_index + task}, ${this.data.path(task)},`);
            words.push(`${ENDS[spans.end[found]]} after ${durationText(spans.duration[found])}`);
            const source = spans.source?.[found] ?? 0;
            if (source < 0) words.push(`(taken over from replica ${-source})`);
            if (source > 0) words.push(`(of the share of replica ${source})`);
        } else {
            words.push("nothing ran");
        }
        this.info.textContent = words.join(" ");
    }

    listen() {
        const { canvas } = this;
        const keys = {
            ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", "+": "in", "=": "in", "-": "out",
            Home: "all", 0: "all",
        };
        canvas.addEventListener("keydown", (event) => {
            if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
            event.preventDefault();
            this.change(keys[event.key]);
        });
        document.querySelectorAll("[data-view]").forEach((button) => {
            button.addEventListener("click", () => this.change(button.dataset.view));
        });
        canvas.addEventListener("pointerdown", (event) => {
            if (event.button !== 0 || event.pointerType === "touch") return;
            canvas.setPointerCapture(event.pointerId);
            this.drag = { x0: event.offsetX, y0: event.offsetY, x1: event.offsetX, y1: event.offsetY };
        });
        canvas.addEventListener("pointermove", (event) => {
            if (this.drag) {
                Object.assign(this.drag, { x1: event.offsetX, y1: event.offsetY });
                this.drawSoon();
            } else if (this.plot) {
                this.tell(event.offsetX, event.offsetY);
            }
        });
        canvas.addEventListener("pointerup", () => this.endDrag());
        canvas.addEventListener("pointercancel", () => (this.drag = undefined));
        canvas.addEventListener("dblclick", () => this.change("all"));
        new ResizeObserver(() => this.drawSoon()).observe(canvas);
    }

    endDrag() {
        const { drag } = this;
        this.drag = undefined;
        if (!drag || Math.abs(drag.x1 - drag.x0) < 5) return;
        const [from, top] = this.at(Math.min(drag.x0, drag.x1), Math.min(drag.y0, drag.y1));
        const [to, bottom] = this.at(Math.max(drag.x0, drag.x1), Math.max(drag.y0, drag.y1));
        this.show(from, to, Math.floor(top), Math.ceil(bottom));
    }
}

// Adds to every pixel the part of it that a rectangle covers.
function cover(layer, width, x0, x1, y0, y1) {
    if (x1 <= x0 || y1 <= y0) return;
    for (let y = Math.floor(y0); y < y1; y += 1) {
        const high = Math.min(y + 1, y1) - Math.max(y, y0);
        for (let x = Math.floor(x0); x < x1; x += 1) {
            layer[y * width + x] += high * (Math.min(x + 1, x1) - Math.max(x, x0));
        }
    }
}
