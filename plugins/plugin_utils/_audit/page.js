"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.getElementById("main");
  const STATES = ["failed", "unreachable", "drift", "ok"];
  const ICONS = {ok: "✓", drift: "≠", failed: "✕", degraded: "!", unreachable: "⊘", absent: "–", unknown: "?"};
  const shown = {state: "all", words: []};
  const open = new Set();
  const tables = [];

  // Text is only ever set as text: nothing that a host says becomes markup.
  function node(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const plural = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const anchor = (name) => "host-" + name;
  // Lines may break after these, and not within words.
  const breakable = (name) => name.split(/(?<=[_/#])/).flatMap((part, at) => (at ? [node("wbr"), part] : [part]));

  function state(kind, word) {
    return node("span", {class: "state " + kind}, node("span", {class: "icon", "aria-hidden": "true"}, ICONS[kind] || "?"), " " + (word || kind));
  }

  function shorten(said) {
    if (/^(sha256[:-])?[0-9a-f]{24,}$/.test(said)) return said.replace(/^(sha256[:-])?(.{10}).*$/, "$1$2…");
    return said.length > 90 ? said.slice(0, 80) + "…" : said;
  }

  // A long value is cut; hovering or a tap shows all of it.
  function value(found, kind) {
    if (found === null) return node("span", {class: "nothing " + kind}, "nothing");
    const said = text(found);
    const short = shorten(said);
    if (short === said) return node("span", {class: "value " + kind}, said);
    const made = node("button", {type: "button", class: "long value " + kind, title: said, "aria-expanded": "false"}, short);
    made.addEventListener("click", () => {
      const now = made.getAttribute("aria-expanded") === "true";
      made.setAttribute("aria-expanded", String(!now));
      made.textContent = now ? short : said;
    });
    return made;
  }

  function copy(said) {
    const made = node("button", {type: "button", class: "copy", title: "Copy", "aria-label": "Copy " + said}, node("span", {class: "sheets"}));
    made.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(said);
      } catch {
        const area = node("textarea", {class: "away"});
        area.value = said;
        document.body.append(area);
        area.select();
        document.execCommand("copy");
        area.remove();
      }
      made.classList.add("done");
      document.getElementById("said").textContent = "Copied " + said;
      setTimeout(() => made.classList.remove("done"), 1200);
    });
    return made;
  }

  function item(row) {
    return [node("span", {class: "kind"}, row.kind.replace(/_/g, " ") + " "), node("code", {class: "item"}, breakable(row.item)), copy(row.item)];
  }

  // Where all hosts share a domain, a list of hosts does without it.
  const domains = new Set(data.hosts.map((host) => host.name.replace(/^[^.]*/, "")));
  const [domain] = domains.size === 1 && data.hosts.length > 1 && /[a-z]/.test([...domains][0]) ? domains : [""];

  const short = (host) => host.name.slice(0, host.name.length - domain.length);

  function hostLink(host) {
    return node("a", {href: "#" + encodeURIComponent(anchor(host.name)), title: domain && host.name}, short(host));
  }

  // Some hosts by name, the others on demand.
  function hostList(places) {
    const some = places.length > 4 ? places.slice(0, 3) : places;
    const made = node("span", {class: "hosts"}, some.map((place) => hostLink(data.hosts[place])));
    if (some.length < places.length) {
      const rest = node("button", {type: "button", class: "long"}, `and ${places.length - some.length} more`);
      rest.addEventListener("click", () => rest.replaceWith(...places.slice(some.length).map((place) => hostLink(data.hosts[place]))));
      made.append(rest);
    }
    return made;
  }

  class Table {
    // columns: {name, key(row), numeric, cell(row)}; the first sort is the order of the rows.
    constructor(section, {rows, columns, limit, search, passes, label, detail, id, empty}) {
      Object.assign(this, {rows, columns, limit, search, passes, detail, id, empty});
      this.sort = null;
      this.body = node("tbody");
      this.heads = columns.map((column) => node("th", {scope: "col"}, node("button", {type: "button", onclick: () => this.by(column)}, breakable(column.name))));
      this.table = node("table", {class: "cards", "aria-label": label}, node("thead", {}, node("tr", {}, this.heads)), this.body);
      this.more = node("button", {type: "button", class: "more", onclick: () => { this.limit = Infinity; this.draw(); }});
      this.nothing = node("p", {class: "empty"}, empty);
      this.count = node("small");
      section.querySelector("h2").append(" ", this.count);
      section.append(node("div", {class: "scroll"}, this.table), this.nothing, this.more);
      tables.push(this);
    }

    by(column) {
      const same = this.sort && this.sort.column === column;
      this.sort = {column, down: same ? !this.sort.down : Boolean(column.numeric)};
      this.heads.forEach((head, at) => {
        if (this.columns[at] === column) head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      });
      this.draw();
    }

    matching() {
      const rows = this.rows.filter((row) => this.passes(row) && shown.words.every((word) => this.search(row).includes(word)));
      if (!this.sort) return rows;
      const {column, down} = this.sort;
      const compare = new Intl.Collator("en", {numeric: true}).compare;
      const order = (a, b) => (column.numeric ? column.key(a) - column.key(b) : compare(column.key(a), column.key(b)));
      return rows.slice().sort((a, b) => (down ? order(b, a) : order(a, b)));
    }

    draw() {
      const rows = this.matching();
      const drawn = rows.slice(0, this.limit);
      this.body.replaceChildren(...drawn.flatMap((row) => {
        const cells = this.columns.map((column, at) => node(at || this.id === undefined ? "td" : "th", {
          class: column.class, "data-label": column.label, scope: at || this.id === undefined ? null : "row",
        }, column.cell(row)));
        const made = node("tr", {id: this.id && this.id(row)}, cells);
        const extra = this.detail && this.detail(row);
        return extra ? [made, node("tr", {class: "detail"}, node("td", {colspan: this.columns.length}, extra))] : [made];
      }));
      this.count.textContent = rows.length === this.rows.length ? `${rows.length}` : `${rows.length} of ${this.rows.length}`;
      this.table.hidden = !rows.length;
      this.nothing.hidden = Boolean(rows.length);
      this.nothing.textContent = this.rows.length ? "Nothing matches the filter." : this.empty;
      this.more.hidden = drawn.length === rows.length;
      this.more.textContent = `Show all ${rows.length}`;
      return rows.length;
    }
  }

  const jump = document.getElementById("jump");

  function section(id, title) {
    const made = node("section", {id, "aria-label": title}, node("h2", {}, title));
    main.append(made);
    jump.append(node("a", {href: "#" + id}, title));
    return made;
  }

  const remembered = (make) => {
    const known = new Map();
    return (row) => {
      if (!known.has(row)) known.set(row, make(row).toLowerCase());
      return known.get(row);
    };
  };

  const ofHost = data.hosts.map(() => []);
  data.differences.forEach((row) => row.hosts.forEach((place) => ofHost[place].push(row)));
  ofHost.forEach((rows) => rows.sort((a, b) => data.components.indexOf(a.component) - data.components.indexOf(b.component)));
  const gpusOf = data.hosts.map(() => []);
  data.gpus.forEach((gpu) => gpusOf[gpu.host].push(gpu));
  const place = new Map(data.hosts.map((host, at) => [host, at]));
  const inState = (host) => shown.state === "all" || host.state === shown.state;

  // Failed and unreachable hosts: nobody knows how they are.
  const lost = data.hosts.filter((host) => host.reason);
  if (lost.length) {
    new Table(section("unknown", "Not audited in full"), {
      rows: lost, limit: 25, label: "Hosts that were not audited in full", empty: "",
      passes: inState,
      search: remembered((host) => [host.name, host.state, host.reason].join(" ")),
      columns: [
        {name: "Host", class: "name", key: (host) => host.name, cell: (host) => [hostLink(host), copy(host.name)]},
        {name: "State", key: (host) => STATES.indexOf(host.state) + "", cell: (host) => state(host.state)},
        {name: "Reason", key: (host) => host.reason, class: "reason", cell: (host) => host.reason},
      ],
    });
  }

  function gpuTable(id, title, rows) {
    const nameOf = (gpu) => data.hosts[gpu.host].name;
    new Table(section(id, title), {
      rows, limit: 50, label: title, empty: "",
      passes: (gpu) => inState(data.hosts[gpu.host]),
      search: remembered((gpu) => [nameOf(gpu), gpu.name, gpu.driver, gpu.health, ...gpu.reasons].join(" ")),
      columns: [
        {name: "Host", class: "name", key: nameOf, cell: (gpu) => hostLink(data.hosts[gpu.host])},
        {name: "GPU", key: (gpu) => gpu.name || "", cell: (gpu) => [`${gpu.which.length} × ${gpu.name || "unknown"}`, gpu.health === "ok" ? null : node("span", {class: "kind"}, ` (${gpu.which.join(", ")})`)]},
        {name: "Memory", label: "memory", class: "cell", numeric: true, key: (gpu) => gpu.memory_mib || 0, cell: (gpu) => (gpu.memory_mib ? `${Math.round(gpu.memory_mib / 1024)} GiB` : "unknown")},
        {name: "Driver", label: "driver", class: "cell", key: (gpu) => gpu.driver || "", cell: (gpu) => gpu.driver || "none"},
        {name: "Health", class: "cell", key: (gpu) => gpu.health, cell: (gpu) => state(gpu.health)},
        {name: "Reasons", key: (gpu) => gpu.reasons.join(" "), class: "reason", cell: (gpu) => gpu.reasons.join(" ")},
      ],
    });
  }

  // The inventory of all comes last; what is broken is news.
  const broken = data.gpus.filter((gpu) => gpu.health !== "ok");
  if (broken.length) gpuTable("broken-gpus", "GPUs not ok", broken);

  if (data.differences.length) {
    new Table(section("differences", "Differences"), {
      rows: data.differences, limit: 25, label: "Differences, each with the hosts that have it", empty: "",
      passes: (row) => row.hosts.some((at) => inState(data.hosts[at])),
      search: remembered((row) => [row.component, row.kind, row.item, row.attribute, text(row.want), text(row.have), ...row.hosts.map((at) => data.hosts[at].name)].join(" ")),
      columns: [
        {name: "Component", key: (row) => row.component, cell: (row) => row.component},
        {name: "What", class: "what", key: (row) => row.kind + " " + row.item, cell: item},
        {name: "Differs in", class: "part", key: (row) => row.attribute, cell: (row) => row.attribute.replace(/_/g, " ")},
        {name: "Have", label: "have", class: "part", key: (row) => text(row.have), cell: (row) => value(row.have, "have")},
        {name: "Want", label: "want", class: "part", key: (row) => text(row.want), cell: (row) => value(row.want, "want")},
        {name: "Hosts", label: "on", class: "onhosts", numeric: true, key: (row) => row.hosts.length, cell: (row) => [row.hosts.length > 1 ? node("b", {}, row.hosts.length + ": ") : null, hostList(row.hosts)]},
      ],
    });
  } else {
    section("differences", "Differences").append(node("p", {class: data.hosts.every((host) => host.state === "ok") ? "fine" : "empty"}, "None was found."));
  }

  function gpuCell(host) {
    if (host.gpus === null) return state("unknown", "not read");
    if (host.gpus_bad) return state("failed", `${host.gpus_bad} of ${host.gpus} not ok`);
    if (host.gpu_problem) return state("degraded", `${host.gpus}, more on PCI`);
    return host.gpus ? state("ok", plural(host.gpus, "GPU")) : state("absent", "none");
  }

  function cell(host, name) {
    const found = host.cells[name];
    if (!found) return node("span", {class: "empty", title: "not audited on this host"}, "·");
    const word = found.count ? `${found.count}${found.state === "drift" ? "" : " " + found.state}` : found.state;
    const made = state(found.state, word);
    if (found.count) made.title = plural(found.count, "difference");
    if (found.count) made.append(node("span", {class: "away"}, " " + (found.count === 1 ? "difference" : "differences")));
    return [made, found.reboot ? node("span", {class: "reboot", title: "takes effect after a reboot"}, " ↻", node("span", {class: "away"}, " after a reboot")) : null];
  }

  function gpuLine(gpu) {
    const memory = gpu.memory_mib ? `, ${Math.round(gpu.memory_mib / 1024)} GiB` : "";
    return node("li", {}, `${gpu.which.length} × ${gpu.name || "GPU"}${memory}, driver ${gpu.driver || "none"} `, state(gpu.health), gpu.reasons.length ? " " + gpu.reasons.join(" ") : null);
  }

  const dashboard = (host) => data.dashboard.replaceAll("{host}", encodeURIComponent(host.name));

  function detail(host) {
    if (!open.has(host.name)) return null;
    const at = place.get(host);
    const parts = [];
    if (data.dashboard) parts.push(node("p", {}, node("a", {href: dashboard(host), rel: "noreferrer"}, "Dashboard")));
    if (host.reason) parts.push(node("p", {class: "reason"}, host.reason));
    for (const [name, found] of Object.entries(host.cells)) {
      if (found.reason && found.state !== "failed") parts.push(node("p", {}, `${name}: ${found.reason}`));
    }
    if (ofHost[at].length) {
      parts.push(node("ul", {}, ofHost[at].map((row) => node("li", {}, row.component + ": ", item(row), " ", row.attribute.replace(/_/g, " "), " is ", value(row.have, "have"), ", desired ", value(row.want, "want")))));
    } else if (host.state === "ok") {
      parts.push(node("p", {}, "No difference."));
    }
    if (host.gpu_problem) parts.push(node("p", {}, host.gpu_problem + "."));
    if (gpusOf[at].length) parts.push(node("ul", {}, gpusOf[at].map(gpuLine)));
    return parts;
  }

  const hosts = new Table(section("hosts", "Hosts"), {
    rows: data.hosts, limit: 1000, label: "Hosts and components", empty: "No host was audited.",
    passes: inState,
    id: (host) => anchor(host.name),
    detail,
    search: remembered((host) => [host.name, host.state, host.reason || "", ...Object.entries(host.cells).filter(([, found]) => found.state !== "ok").flatMap(([name, found]) => [name, found.state]), ...ofHost[place.get(host)].flatMap((row) => [row.kind, row.item, row.attribute, text(row.want), text(row.have)])].join(" ")),
    columns: [
      {name: "Host", class: "name", key: (host) => host.name, cell: (host) => [node("button", {type: "button", class: "open", title: domain && host.name, "aria-expanded": String(open.has(host.name)), onclick: () => toggle(host)}, short(host)), copy(host.name)]},
      {name: "State", key: (host) => STATES.indexOf(host.state) + "", cell: (host) => state(host.state)},
      {name: "Diffs", label: "differences", numeric: true, class: "cell number", key: (host) => host.count, cell: (host) => `${host.count}`},
      {name: "GPUs", label: "GPUs", class: "cell", numeric: true, key: (host) => host.gpus_bad * 10000 + (host.gpu_problem ? 5000 : 0) + (host.gpus || 0), cell: gpuCell},
      ...data.components.map((name) => ({name, label: name, class: "cell", key: (host) => (host.cells[name] ? String(9 - STATES.indexOf(host.cells[name].state)) + (host.cells[name].count || 0) : ""), cell: (host) => cell(host, name)})),
    ],
  });
  hosts.table.classList.add("matrix");

  if (data.gpus.length) gpuTable("gpus", "GPUs", data.gpus);

  if (data.events.length) {
    const SEVERITIES = ["critical", "error", "warning", "info"];
    const nameOf = (event) => data.hosts[event.host].name;
    const codeOf = (event) => (event.code === null ? event.source : `${event.source} ${event.code}`);
    new Table(section("gpu-events", "GPU events"), {
      rows: data.events, limit: 25, label: "The newest GPU events of each host, of seven days", empty: "",
      passes: (event) => inState(data.hosts[event.host]),
      search: remembered((event) => [nameOf(event), codeOf(event), event.mnemonic, event.severity, event.action, event.gpu_uuid, event.text].join(" ")),
      columns: [
        {name: "Host", class: "name", key: nameOf, cell: (event) => hostLink(data.hosts[event.host])},
        {name: "Time", class: "cell", label: "at", key: (event) => event.last || "", cell: (event) => (event.last || "").replace("T", " ").slice(0, 19)},
        {name: "Severity", class: "cell", key: (event) => String(SEVERITIES.indexOf(event.severity)), cell: (event) => state({critical: "failed", error: "failed", warning: "degraded"}[event.severity] || "unknown", event.severity)},
        {name: "Event", class: "cell", key: codeOf, cell: (event) => node("span", {title: event.mnemonic}, codeOf(event) + (event.count > 1 ? ` × ${event.count}` : ""))},
        {name: "GPU", class: "cell", key: (event) => event.pci_address || "", cell: (event) => node("span", {title: event.gpu_uuid}, event.pci_address || "unknown")},
        {name: "Action", class: "cell", key: (event) => event.action || "", cell: (event) => (event.action || "").replace(/_/g, " ")},
        {name: "Line", class: "reason", key: (event) => event.text || "", cell: (event) => event.text},
      ],
    });
  }

  // Many hosts: each as one square, so that the fleet fits on a screen.
  if (data.hosts.length > 24) {
    const map = node("ul", {class: "map", "aria-label": "All hosts"}, data.hosts.map((host) => node("li", {}, node("a", {class: host.state, href: "#" + encodeURIComponent(anchor(host.name)), title: `${host.name}: ${host.state}`, "aria-label": `${host.name}: ${host.state}`}, ICONS[host.state]))));
    document.querySelector("header").append(map);
  }

  function toggle(host) {
    if (!open.delete(host.name)) open.add(host.name);
    history.replaceState(null, "", "#" + encodeURIComponent(anchor(host.name)));
    hosts.draw();
    document.getElementById(anchor(host.name)).querySelector(".open").focus();
  }

  // #host-NAME opens the host, whatever is filtered.
  function follow() {
    const selected = decodeURIComponent(location.hash.slice(1));
    const host = data.hosts.find((one) => anchor(one.name) === selected);
    if (!host) return;
    open.add(host.name);
    if (!hosts.matching().includes(host)) choose("all", "");
    hosts.limit = Infinity;
    hosts.draw();
    const row = document.getElementById(selected);
    row.scrollIntoView({block: "start"});
    row.classList.add("target");
    row.querySelector(".open").focus({preventScroll: true});
  }

  const filter = document.getElementById("filter");
  const tiles = [...document.querySelectorAll(".tile[data-state]")];
  function choose(kind, words) {
    shown.state = kind;
    shown.words = words.toLowerCase().split(/\s+/).filter(Boolean);
    filter.value = words;
    draw();
  }
  function draw() {
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.state === shown.state)));
    tables.forEach((table) => table.draw());
    const number = hosts.matching().length;
    document.getElementById("matches").textContent = number === data.hosts.length ? "" : `${number} of ${plural(data.hosts.length, "host")}`;
  }
  tiles.forEach((tile) => tile.addEventListener("click", () => choose(shown.state === tile.dataset.state ? "all" : tile.dataset.state, filter.value)));
  let waiting;
  filter.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => choose(shown.state, filter.value), 100);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== filter) { event.preventDefault(); filter.focus(); }
    if (event.key === "Escape" && document.activeElement === filter) choose("all", "");
  });
  addEventListener("hashchange", follow);

  // A page that was opened days later must say so.
  const started = document.getElementById("started");
  const minutes = Math.round((Date.now() - new Date(data.started)) / 60000);
  const [number, unit] = minutes < 120 ? [minutes, "minute"] : minutes < 2880 ? [Math.round(minutes / 60), "hour"] : [Math.round(minutes / 1440), "day"];
  if (minutes >= 0) document.getElementById("ago").textContent = `(${new Intl.RelativeTimeFormat("en").format(-number, unit)})`;
  started.title = new Date(data.started).toLocaleString();

  document.getElementById("bar").hidden = false;
  draw();
  follow();
})();
