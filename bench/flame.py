"""flame -- a flame graph of what `perf script` prints, as one SVG that needs nothing else.

    stacks = flame.read(lines)          fold the samples: {(frame, frame, ...): weight}, outermost first
    text = flame.svg(stacks, "title", ["a note", ...])

The first frame of a stack is the process, the second its thread where that has a name of its own. Widths are what the
samples weigh (nanoseconds or cycles), not an order in time. Colours say whose code it is; a title that shows when the
mouse is over a frame has its name, weight and share; with JavaScript a click widens a frame and "/" searches.
"""
import collections
import html
import math
import re

KINDS = {"process": "process or thread", "job": "the job", "ours": "Millrace", "lib": "libraries", "kernel": "kernel"}
Frame = collections.namedtuple("Frame", "name kind")

HEAD = re.compile(r"^(.+?) +(-?\d+)/(-?\d+) +([\d.]+): +(?:(\d+) +([\w\-/]+):?|PERF_RECORD_(\w+)(.*))")
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*?) \((.*)\)$")
COMM = re.compile(r"exec: (.*):(\d+)/\d+$")
FORK = re.compile(r"\((\d+):\d+\):\((\d+):\d+\)$")
CLONE = re.compile(r"(\.(constprop|part|isra|cold)(\.\d+)?|@.*)+$")
FORKED = {"tasktracker": "worker"}      # what a daemon's own children are, which have its program and its name


class Stacks:
    def __init__(self):
        self.weights = collections.Counter()    # of tuples of Frame
        self.samples, self.event, self.lost = 0, "", 0

    def total(self):
        return sum(self.weights.values())

    def amount(self, weight):
        """Words: "1.23 s", or cycles."""
        return f"{weight / 1e9:.3f} s" if "clock" in self.event else f"{weight / 1e9:.3f} G {self.event or 'cycles'}"


def frame_of(symbol, dso, ours):
    if dso.startswith("[kernel") or dso.endswith((".ko", ".ko.xz")) or dso == "[guest.kernel.kallsyms]":
        kind = "kernel"
    elif dso.startswith("/memfd:job"):
        kind = "job"
    elif dso.startswith(ours):
        kind = "job" if dso.endswith(".so") else "ours"
    else:
        kind = "lib"
    if symbol == "[unknown]":
        symbol = "[" + re.sub(r"^/memfd:| \(deleted\)$", "", dso).rpartition("/")[2].strip("[]") + "]"
    return Frame(CLONE.sub("", symbol) or symbol, kind)


class Reader:
    def __init__(self, window, without, ours):
        self.out, self.window, self.without, self.ours = Stacks(), window, without, ours
        self.names, self.forked, self.sample, self.frames = {}, set(), None, []

    def event(self, record, rest):
        if record == "COMM" and (m := COMM.search(rest)):
            self.names[m[2]] = m[1]
            self.forked.discard(m[2])
        elif record == "FORK" and (m := FORK.search(rest)) and m[1] != m[2]:
            self.names[m[1]] = self.names.get(m[2])
            self.forked.add(m[1])
        elif record == "LOST":
            self.out.lost += 1

    def process(self, pid, comm):
        name = self.names.get(pid) or comm
        return FORKED.get(name, name) if pid in self.forked else name

    def end(self):
        if self.sample:
            comm, pid, weight = self.sample
            name = self.process(pid, comm)
            path = [Frame(name, "process")] + ([Frame(comm, "process")] if comm not in (name, self.names.get(pid)) else [])
            self.out.weights[tuple(path + self.frames[::-1])] += weight
            self.out.samples += 1
        self.sample, self.frames = None, []

    def head(self, m):
        comm, pid, _, time, weight, event, record, rest = m.groups()
        if record:
            self.event(record, rest)
        elif pid not in self.without and any(a <= float(time) <= b for a, b in self.window):
            self.sample, self.out.event = (comm, pid, int(weight)), event

    def line(self, line):
        if m := FRAME.match(line):
            if (m[1], m[2]) != ("[unknown]", "[unknown]"):      # where the copy of the stack ends
                self.frames.append(frame_of(m[1], m[2], self.ours))
        else:
            self.end()
            if m := HEAD.match(line):
                self.head(m)


def mended(weights):
    """weights with what the same process has below a function elsewhere put below the stacks that begin with it."""
    below = {}
    for path in weights:
        for i, frame in enumerate(path):
            key = (path[0], frame)
            if frame.kind != "process" and path.index(frame) == i and i > len(below.get(key, ())):
                below[key] = path[:i]
    out = collections.Counter()
    for path, weight in weights.items():
        first = next((i for i, f in enumerate(path) if f.kind != "process"), len(path))
        start = below.get((path[0], path[first]), ()) if first < len(path) else ()
        fits = start[:first] == path[:first] and not set(start[first:]) & set(path[first:])
        out[(start if fits else path[:first]) + path[first:]] += weight
    return out


def mend(weights):
    """perf keeps the top of a stack only; its lower end comes from other stacks, over several when it must."""
    for _ in range(8):
        was, weights = weights, mended(weights)
        if was == weights:
            break
    return weights


def read(lines, window=((0, math.inf),), without=(), ours=()):
    """Fold the lines of `perf script --show-task-events -F comm,pid,tid,time,period,event,ip,sym,dso`. Samples outside
    the window (pairs of seconds) and of the processes `without` (ids) are left out. Programs below the folders `ours`
    (with a / at their end) are ours."""
    r = Reader(window, {str(p) for p in without}, ours)
    for line in lines:
        r.line(line.rstrip("\n"))
    r.end()
    r.out.weights = mend(r.out.weights)
    return r.out


def by_process(stacks):
    """[(name, weight)], largest first."""
    out = collections.Counter()
    for path, weight in stacks.weights.items():
        out[path[0].name] += weight
    return out.most_common()


def by_function(stacks):
    """[(frame, weight of itself)], largest first."""
    out = collections.Counter()
    for path, weight in stacks.weights.items():
        out[path[-1]] += weight
    return out.most_common()


def by_kind(stacks):
    out = collections.Counter()
    for path, weight in stacks.weights.items():
        out[path[-1].kind] += weight
    return out


WIDTH, ROW, EDGE, TOP, LETTER = 1280, 19, 12, 84, 7.25
STYLE = """
svg{--paper:#fcfcfb;--ink:#1c1f24;--soft:#5c6470;--process:#c9ced6;--job:#f3b562;--ours:#8fb8e8;--lib:#a9d3ae;--kernel:#e0a3a8;
--on:#1c1f24;--found:#7a2bd1;background:var(--paper)}
@media(prefers-color-scheme:dark){svg{--paper:#15181d;--ink:#e8eaed;--soft:#9aa3af;--process:#4a515c;--job:#a8701c;--ours:#2f64a3;
--lib:#35713f;--kernel:#8f434b;--on:#f4f5f7;--found:#e0a9ff}}
text{font:12px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:var(--on);pointer-events:none}
.note{fill:var(--soft);font-family:system-ui,sans-serif;font-size:13px}
.head{fill:var(--ink);font:600 18px system-ui,sans-serif}
.link{fill:var(--soft);font-family:system-ui,sans-serif;pointer-events:auto;cursor:pointer}
g rect{stroke:var(--paper);stroke-width:1}g:hover rect{stroke:var(--ink)}g{cursor:pointer}
.found rect{stroke:var(--found);stroke-width:2.5}
""" + "".join(f".{k}{{fill:var(--{k})}}" for k in KINDS)

# What a reader can do with JavaScript; without it the graph is complete.
SCRIPT = """
const frames=[...document.querySelectorAll('g')],WIDTH=%d,EDGE=%d,LETTER=%s,tell=document.getElementById('tell')
const name=g=>g.querySelector('title').textContent.split('\\n')[0]
for(const g of frames){g.x=+g.dataset.x;g.w=+g.dataset.w;g.d=+g.dataset.d}
function zoom(to){for(const g of frames){const a=to?Math.max(g.x,to.x):g.x,b=to?Math.min(g.x+g.w,to.x+to.w):g.x+g.w
if(to&&b-a<1e-9){g.style.display='none';continue}
const k=(WIDTH-2*EDGE)/(to?to.w:1),x=EDGE+(a-(to?to.x:0))*k,w=(b-a)*k,r=g.querySelector('rect');let t=g.querySelector('text')
if(!t){t=g.appendChild(document.createElementNS('http://www.w3.org/2000/svg','text'));t.setAttribute('y',+r.getAttribute('y')+13)}
g.style.display='';r.setAttribute('x',x);r.setAttribute('width',w);t.setAttribute('x',x+4);const n=Math.floor((w-6)/LETTER),s=name(g)
t.textContent=n<3?'':n<s.length?s.slice(0,n-1)+'\\u2026':s}}
function search(){const s=prompt('Functions with these letters (a regular expression)');let sum=0,end=-1;if(s===null)return
const like=s?new RegExp(s):null
for(const g of frames){const hit=like&&like.test(name(g));g.classList.toggle('found',!!hit);if(hit)g.hit=true;else g.hit=false}
for(const g of frames.filter(g=>g.hit).sort((a,b)=>a.x-b.x||a.d-b.d))if(g.x>=end-1e-9){sum+=g.w;end=g.x+g.w}
tell.textContent=s?s+': '+(100*sum).toFixed(2)+' %%':'search'}
for(const g of frames)g.addEventListener('click',()=>zoom(g))
tell.textContent='search';tell.addEventListener('click',search)
const all=document.getElementById('all');all.textContent='whole';all.addEventListener('click',()=>zoom(null))
addEventListener('keydown',e=>{if(e.key==='/'){e.preventDefault();search()}if(e.key==='Escape')zoom(null)})
"""


def tree(stacks):
    """(weight, {frame: (weight, {...})}), the sums of all stacks that begin alike."""
    root = [0, {}]
    for path, weight in stacks.weights.items():
        node = root
        node[0] += weight
        for frame in path:
            node = node[1].setdefault(frame, [0, {}])
            node[0] += weight
    return root


def boxes(node, total, least, x=0, depth=0):
    """(frame, weight, left end and width as parts of the whole, depth) of each frame that is wide enough to be seen."""
    for frame, child in sorted(node[1].items(), key=lambda kv: (-kv[1][0] if depth == 0 else 0, kv[0])):
        if child[0] >= least:
            yield frame, child[0], x / total, child[0] / total, depth
            yield from boxes(child, total, least, x, depth + 1)
        x += child[0]


def put_frame(stacks, box, bottom):
    frame, weight, x, w, depth = box
    left, width, y = EDGE + x * (WIDTH - 2 * EDGE), w * (WIDTH - 2 * EDGE), bottom - (depth + 1) * ROW
    name, fit = frame.name, int((width - 6) / LETTER)
    label = name if len(name) <= fit else name[:fit - 1] + "\u2026" if fit >= 3 else ""
    title = f"{name}\n{KINDS[frame.kind]}, {stacks.amount(weight)}, {100 * w:.2f} %"
    text = f'<text x="{left + 4:.1f}" y="{y + 13}">{html.escape(label)}</text>' if label else ""
    return (f'<g data-x="{x:.7f}" data-w="{w:.7f}" data-d="{depth}"><title>{html.escape(title)}</title>'
            f'<rect class="{frame.kind}" x="{left:.2f}" y="{y}" width="{width:.2f}" height="{ROW - 1}" rx="2"/>{text}</g>')


def svg(stacks, title, notes=()):
    """The whole picture. Frames under half a pixel are left out."""
    root = tree(stacks)
    total = max(1, root[0])
    drawn = list(boxes(root, total, 0.5 * total / (WIDTH - 2 * EDGE)))
    bottom = TOP + ROW * (1 + max((b[4] for b in drawn), default=0)) + 4
    kinds, x = by_kind(stacks), EDGE
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + EDGE}" width="{WIDTH}" height="{bottom + EDGE}">',
           f"<title>{html.escape(title)}</title>", f"<style>{STYLE}</style>",
           f'<rect width="{WIDTH}" height="{bottom + EDGE}" fill="var(--paper)"/>',
           f'<text class="head" x="{EDGE}" y="28">{html.escape(title)}</text>',
           f'<text class="note" x="{EDGE}" y="48">{html.escape("  ·  ".join(notes))}</text>',
           f'<text class="link" id="all" text-anchor="end" x="{WIDTH - EDGE}" y="28"></text>',
           f'<text class="link" id="tell" text-anchor="end" x="{WIDTH - EDGE}" y="71"></text>']
    for kind, what in KINDS.items():
        label = what + (f" {100 * kinds[kind] / total:.1f} %" if kind != "process" else "")
        out += [f'<rect class="{kind}" x="{x}" y="59" width="14" height="14" rx="2"/>',
                f'<text class="note" x="{x + 20}" y="71">{label}</text>']
        x += 44 + 7 * len(label)
    out += [put_frame(stacks, b, bottom) for b in drawn]
    out += [f"<script><![CDATA[{SCRIPT % (WIDTH, EDGE, LETTER)}]]></script>", "</svg>"]
    return "\n".join(out) + "\n"
