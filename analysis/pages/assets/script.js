"use strict";
// Everything on the page can be read without this. It adds controls to what the markup holds, keeps
// nothing, and asks for nothing.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // An element with properties, attributes (the names with a dash, and role) and children.
  function make(name, given = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(given)) {
      if (key.includes("-") || key === "role") made.setAttribute(key, value);
      else made[key] = value;
    }
    made.append(...children);
    return made;
  }

  const button = (text, label, onclick) =>
    make("button", { type: "button", className: "control", "aria-label": label, title: label, onclick }, text);

  const select = (label, names, chosen, onchange) => {
    const made = make("select", { onchange }, ...names.map((name) => make("option", { value: name }, name)));
    made.value = chosen;
    return [make("label", {}, label, made), made];
  };

  function theme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const root = document.documentElement;
    const shown = () => root.dataset.theme || (dark.matches ? "dark" : "light");
    const toggle = make("button", { type: "button", className: "control theme" });
    const name = () => {
      toggle.textContent = shown() === "dark" ? "Light" : "Dark";
      toggle.setAttribute("aria-label", `${toggle.textContent} colours`);
    };
    toggle.onclick = () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      name();
    };
    dark.addEventListener("change", name);
    name();
    document.querySelector("header").append(toggle);
  }

  // Marks, in the contents beside the page, the heading that is being read.
  function follow() {
    const links = new Map(all(".side a").map((link) => [decodeURIComponent(link.hash.slice(1)), link]));
    const heads = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    // parts of parts are listed where they are being read
    const chapter = new Map();
    let last;
    for (const link of links.values()) {
      if (link.parentElement.className === "level-2") last = link;
      chapter.set(link, last);
    }
    let waiting = false;
    const mark = () => {
      waiting = false;
      // the last ones may be too short to come to the top
      const ended = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
      const limit = ended ? innerHeight : innerHeight / 4;
      const passed = heads.filter((head) => head.getBoundingClientRect().top < limit);
      const now = links.get((passed.at(-1) || heads[0])?.id);
      for (const link of links.values()) {
        if (link === now) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
        link.parentElement.classList.toggle("elsewhere", link !== chapter.get(link) && chapter.get(link) !== chapter.get(now));
      }
    };
    addEventListener("scroll", () => {
      if (!waiting) requestAnimationFrame(mark);
      waiting = true;
    }, { passive: true });
    mark();
  }

  // Numbers as Python writes them; what is no number is NaN.
  const number = (text) => {
    const endless = /^([+-]?)inf/i.exec(text);
    if (endless) return endless[1] === "-" ? -Infinity : Infinity;
    return text.trim() === "" ? NaN : Number(text);
  };

  // Tables with fewer rows, or without numbers, are read as they are.
  const FEW = 3;

  // A group of controls is one stop of the tab key; arrow keys move in it.
  function arrows(controls) {
    const go = (event, to) => {
      event.preventDefault();
      controls.forEach((other) => (other.tabIndex = other === to ? 0 : -1));
      to.focus();
    };
    controls.forEach((control, place) => {
      control.tabIndex = place ? -1 : 0;
      control.addEventListener("keydown", (event) => {
        const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: controls.length - 1 }[event.key];
        if (controls[to] && !event.ctrlKey && !event.metaKey && !event.altKey) go(event, controls[to]);
      });
    });
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = all("thead tr:last-child th", table);
    if (!body || body.rows.length < FEW || !heads.some((head) => head.dataset.type === "number")) return;
    const original = [...body.rows];

    const order = (column, numeric, sign) => {
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
        return numeric ? number(text) : text;
      };
      const last = (value) => (numeric ? Number.isNaN(value) : value === "");
      const compare = (a, b) => (numeric ? (a > b) - (a < b) : a.localeCompare(b, "en", { numeric: true }));
      return original
        .map((row) => [key(row), row])
        .sort(([a], [b]) => last(a) - last(b) || (last(a) ? 0 : sign * compare(a, b)))
        .map(([, row]) => row);
    };

    const sorters = heads.map((head, column) => {
      const turn = () => {
        const before = head.getAttribute("aria-sort");
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        const next = { ascending: "descending", descending: null }[before];
        const now = next === undefined ? "ascending" : next;
        if (now) head.setAttribute("aria-sort", now);
        const sign = now === "descending" ? -1 : 1;
        body.append(...(now ? order(column, head.dataset.type === "number", sign) : original));
      };
      const sorter = make("button", { type: "button", className: "sort", onclick: turn, title: head.title || "Sort" });
      sorter.append(...head.childNodes);
      head.append(sorter);
      sorter.onfocus = () => sorter.scrollIntoView({ block: "nearest", inline: "nearest" });
      return sorter;
    });
    arrows(sorters);
  }

  // A frame is a stop of the tab key if it scrolls and nothing in it is one.
  function frames() {
    const found = all(".scroll, pre");
    const check = (frame) => {
      const scrolls = frame.scrollWidth > frame.clientWidth + 1 || frame.scrollHeight > frame.clientHeight + 1;
      if (scrolls && !frame.querySelector("a[href], button, [tabindex]")) frame.tabIndex = 0;
      else frame.removeAttribute("tabindex");
    };
    const observer = new ResizeObserver((entries) => entries.forEach(({ target }) => check(target)));
    found.forEach((frame) => {
      check(frame);
      observer.observe(frame);
    });
  }

  // A link to a file of the appendix opens the list that it is in.
  function files() {
    const open = () => {
      const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
      const list = target && target.closest("details");
      if (list && !list.open) {
        list.open = true;
        target.scrollIntoView();
      }
    };
    addEventListener("hashchange", open);
    open();
  }

  // Zoom and pan of pictures in a frame: wheel, pinch, drag, arrow keys, + and −. Places are in
  // pixels of the frame; `changed` is called at each change. A drag that begins on `handle`, or while
  // nothing is zoomed, is left to `slid`.
  class Lens {
    constructor(frame, options) {
      Object.assign(this, { frame, least: 1, most: 16, wheel: false, slid: null, handle: null }, options);
      this.pointers = new Map();
      frame.addEventListener("wheel", (event) => this.wheeled(event), { passive: false });
      frame.addEventListener("pointerdown", (event) => this.down(event));
      frame.addEventListener("pointermove", (event) => this.moved(event));
      for (const end of ["pointerup", "pointercancel"]) {
        frame.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
      }
      frame.addEventListener("keydown", (event) => this.key(event));
      this.reset();
    }
    reset() {
      [this.scale, this.x, this.y] = [this.least, 0, 0];
      this.settle();
    }
    // Pictures fill the frame, or are in its middle where they are smaller.
    settle() {
      const [width, height] = this.size();
      const keep = (at, inner, outer) =>
        inner <= outer ? (outer - inner) / 2 : Math.min(0, Math.max(outer - inner, at));
      this.x = keep(this.x, width * this.scale, this.frame.clientWidth);
      this.y = keep(this.y, height * this.scale, this.frame.clientHeight);
      this.changed(`translate(${this.x}px, ${this.y}px) scale(${this.scale})`, this.scale > this.least);
    }
    zoom(factor, x = this.frame.clientWidth / 2, y = this.frame.clientHeight / 2) {
      const scale = Math.min(this.most, Math.max(this.least, this.scale * factor));
      this.x = x - ((x - this.x) * scale) / this.scale;
      this.y = y - ((y - this.y) * scale) / this.scale;
      this.scale = scale;
      this.settle();
    }
    pan(x, y) {
      this.x += x;
      this.y += y;
      this.settle();
    }
    place(event) {
      const box = this.frame.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }
    wheeled(event) {
      if (!this.wheel && !event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      const step = Math.max(-60, Math.min(60, event.deltaY * lines));
      this.zoom(Math.exp(-step * 0.008), ...this.place(event));
    }
    down(event) {
      if (event.button > 0) return;
      this.frame.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.place(event));
      const onHandle = event.target === this.handle;
      this.sliding = this.slid && (onHandle || this.scale === this.least);
      // a touch may be the beginning of a scroll of the page
      if (this.sliding && !onHandle && event.pointerType !== "touch") this.slid(this.place(event)[0]);
    }
    moved(event) {
      const before = this.pointers.get(event.pointerId);
      if (!before) return;
      const now = this.place(event);
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
      this.pointers.set(event.pointerId, now);
      if (other) {
        const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
        this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
        this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
        this.sliding = false;
      } else if (this.sliding) this.slid(now[0]);
      else this.pan(now[0] - before[0], now[1] - before[1]);
    }
    key(event) {
      if (event.target !== this.frame || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
      if (step && this.scale > this.least) this.pan(...step);
      else if (event.key === "+" || event.key === "=") this.zoom(1.5);
      else if (event.key === "-") this.zoom(1 / 1.5);
      else if (event.key === "0") this.reset();
      else return;
      event.preventDefault();
    }
    buttons() {
      const made = [
        button("−", "Zoom out", () => this.zoom(1 / 1.5)),
        button("+", "Zoom in", () => this.zoom(1.5)),
        button("Reset", "Reset the zoom", () => this.reset())];
      arrows(made);
      return make("div", { className: "group", role: "toolbar", "aria-label": "Zoom; arrow keys move" }, ...made);
    }
  }

  function comparison(root) {
    const figures = new Map(all(".pictures > figure:has(img)", root).map((figure) => [figure.dataset.name, figure]));
    const names = [...figures.keys()];
    if (names.length < 2) return;
    const caption = root.querySelector(".caption")?.textContent ?? "Comparison";
    const first = figures.get(names[0]).querySelector("img");

    const back = make("img", { className: "right", alt: first.alt, src: first.src });
    const front = make("img", { className: "left", alt: first.alt, src: first.src });
    const layer = make("div", { className: "layer" }, front);
    const line = make("div", { className: "line" });
    const stage = make("div", { className: "stage", tabIndex: 0, role: "group",
      "aria-label": `${caption}, two pictures; + and − zoom, arrow keys move` },
      make("div", { className: "layer" }, back), layer, line);
    stage.style.aspectRatio = `${first.naturalWidth || first.width} / ${first.naturalHeight || first.height}`;

    const range = make("input", { type: "range", min: 0, max: 100, step: 1, value: 50 });
    const slide = (percent) => {
      range.value = percent;
      layer.style.clipPath = `inset(0 ${100 - percent}% 0 0)`;
      line.style.left = `${percent}%`;
    };
    const slideTo = (x) => slide(Math.max(0, Math.min(100, (100 * x) / stage.clientWidth)));
    range.oninput = () => slide(range.valueAsNumber);

    const lens = new Lens(stage, {
      size: () => [stage.clientWidth, stage.clientHeight],
      slid: slideTo,
      handle: line,
      changed: (transform, zoomed) => {
        front.style.transform = back.style.transform = transform;
        stage.classList.toggle("zoomed", zoomed);
      },
    });
    const under = make("div", { className: "under", "aria-live": "polite" });
    const show = () => {
      under.replaceChildren();
      for (const [image, chosen] of [[front, left], [back, right]]) {
        const figure = figures.get(chosen.value);
        const source = figure.querySelector("img");
        [image.src, image.alt] = [source.src, source.alt];
        const words = figure.querySelector("figcaption")?.cloneNode(true).childNodes ?? [chosen.value];
        under.append(make("div", {}, ...words));
      }
    };
    const [leftLabel, left] = select("Left", names, names[0], show);
    const [rightLabel, right] = select("Right", names, names[1], show);
    show();
    slide(50);

    const pictures = root.querySelector(".pictures");
    const fold = button(`Show all ${names.length}`, `Show all ${names.length} side by side`);
    fold.setAttribute("aria-expanded", "false");
    fold.onclick = () => fold.setAttribute("aria-expanded", String(!pictures.classList.toggle("closed")));
    pictures.classList.add("closed");
    pictures.before(
      make("div", { className: "compare" },
        make("div", { className: "bar" }, leftLabel, rightLabel),
        stage,
        make("label", { className: "slide" }, "Divider", range),
        under,
        make("div", { className: "bar" }, lens.buttons(), fold)));
    addEventListener("resize", () => lens.settle());
  }

  // Of several comparisons under one heading, the reader chooses one.
  function gallery() {
    const groups = new Map();
    let heading = null;
    for (const one of all("main :is(h2, h3, h4, .comparison)")) {
      if (!one.matches(".comparison")) heading = one;
      else if (one.querySelector(".compare")) groups.set(heading, [...(groups.get(heading) ?? []), one]);
    }
    for (const group of groups.values()) {
      if (group.length < 2) continue;
      const names = group.map((one, place) => one.querySelector(".caption")?.textContent || `${place + 1}`);
      const show = () => {
        group.forEach((one, place) => one.classList.toggle("closed", names[place] !== choice.value));
        dispatchEvent(new Event("resize")); // a picture that was hidden had no size
      };
      const [label, choice] = select("Picture", names, names[0], show);
      group[0].before(make("div", { className: "bar" }, label));
      show();
    }
  }

  function pairwise(root) {
    const sections = all(":scope > section", root);
    if (sections.length < 2) return;
    const names = [...new Set(sections.flatMap(({ dataset }) => [dataset.a, dataset.b]))];
    const missing = make("p", { className: "missing", role: "status" });
    const show = () => {
      const [a, b] = [one.value, two.value];
      let found = false;
      for (const section of sections) {
        const pair = [section.dataset.a, section.dataset.b];
        const chosen = a === b ? pair[0] === a && pair[1] === a : pair.includes(a) && pair.includes(b);
        section.classList.toggle("closed", !chosen);
        found ||= chosen;
      }
      missing.textContent = found ? "" : a === b
        ? `${a} is chosen twice; choose another one to compare it with.`
        : `There is nothing here of ${a} and ${b}.`;
      missing.hidden = found;
    };
    const label = root.dataset.label || "pairs";
    const [oneLabel, one] = select("First", names, sections[0].dataset.a, show);
    const [twoLabel, two] = select("Second", names, sections[0].dataset.b, show);
    root.prepend(
      make("div", { className: "bar", role: "group", "aria-label": `Choose two ${label}` }, oneLabel, twoLabel),
      missing);
    show();
  }

  // A figure is tapped to be seen at full size.
  function enlarge() {
    const picture = make("img");
    const view = make("div", { className: "view", tabIndex: 0, role: "group",
      "aria-label": "Figure; + and − zoom, arrow keys move" }, picture);
    let lens;
    const bar = make("div", { className: "bar" });
    const dialog = make("dialog", { "aria-label": "Figure at full size" }, bar, view);
    document.body.append(dialog);

    const open = (image) => {
      [picture.src, picture.alt, picture.className] = [image.src, image.alt, image.className];
      const [width, height] = [image.naturalWidth, image.naturalHeight];
      [picture.width, picture.height] = [width, height];
      dialog.showModal();
      const fit = Math.min(1, view.clientWidth / width, view.clientHeight / height);
      const options = {
        least: fit,
        most: 8,
        wheel: true,
        size: () => [width, height],
        changed: (transform) => (picture.style.transform = transform),
      };
      if (lens) {
        Object.assign(lens, options);
        lens.reset();
      } else {
        lens = new Lens(view, options);
        bar.append(lens.buttons(), button("Close", "Close", () => dialog.close()));
      }
      if (fit < 1) lens.zoom(1 / fit, 0, 0);
      view.focus();
    };
    // what is shown is of use only while it is open, and an img without a picture is none
    picture.remove();
    dialog.addEventListener("close", () => picture.remove());
    // of the variants of a figure, the one that this window shows
    const shown = (images) => images.find((image) => image.offsetParent) || images[0];
    for (const frame of all("figure.drawn .images")) {
      const images = [...frame.querySelectorAll("img")];
      const opener = make("button", { type: "button", className: "enlarge", title: "See at full size",
        onclick: () => { view.append(picture); open(shown(images)); } });
      opener.setAttribute("aria-label", `See at full size: ${images[0].alt}`);
      opener.append(...images);
      frame.append(opener);
    }
  }

  theme();
  follow();
  all("table.sortable").forEach(sortable);
  all(".comparison").forEach(comparison);
  gallery();
  all(".pairwise").forEach(pairwise);
  enlarge();
  frames();
  files();
})();
