"""Draws histograms of how late a loop begins, both axes logarithmic, as SVG and as PNG: one list of marks,
two ways to write it, no library."""
import math
import struct
import zlib

WIDTH, PANEL, LEFT, RIGHT = 760, 190, 64, 24
DECADES = (3, 9)  # 1 us to 1 s
BINS = 16  # of a decade
# 3 x 5 dots, the top row in the highest bits
GLYPHS = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,:;%-/()+=@_ ", (
    31599, 11415, 29671, 29391, 23497, 31183, 31215, 29266, 31727, 31695, 11245, 27566, 14627, 27502, 31143, 31140,
    14699, 23533, 29847, 4714, 23469, 18727, 24557, 27501, 11114, 27556, 11089, 27565, 14478, 29842, 23407, 23402,
    23549, 23213, 23186, 29351, 2, 20, 1040, 1044, 21157, 448, 4772, 10530, 8778, 1488, 3640, 31591, 7, 0)))
COLOURS = {"c": (255, 255, 255), "t": (31, 35, 40), "h": (31, 35, 40), "s": (89, 99, 110), "g": (208, 215, 222),
           "f": (125, 135, 148), "o": (15, 111, 197), "p": (222, 141, 32)}  # the light half of STYLE
STYLE = ("<style>.c{fill:#fff;stroke:#d0d7de}text{fill:#1f2328}.h{font-weight:600;font-size:14px}.s{fill:#59636e;"
         "font-size:12px}path{fill:none;stroke-width:1.5}.g{stroke:#d0d7de;stroke-width:1}.f{stroke:#7d8794}"
         ".o{stroke:#0f6fc5}.p{stroke:#de8d20}@media(prefers-color-scheme:dark){.c{fill:#0d1117;stroke:#3d444d}"
         "text{fill:#f0f6fc}.s{fill:#9198a1}.g{stroke:#3d444d}.f{stroke:#828b96}.o{stroke:#4493f8}}</style>")


def time_text(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
        if ns >= size:
            return "%.3g %s" % (ns / size, unit)
    return "%.3g ns" % ns


def marks(panels, machine):
    """panels: (title, curves); a curve: (label, kind, {ns: count}, p99).
    ("steps", kind, points) and ("text", kind, x, y, text, anchor) of all panels; and the height."""
    out, y = [("text", "s", 24, 30, "Share of ticks by how late they began; nothing left out.", "start")], 46
    for title, curves in panels:
        top, bottom = y + 34, y + PANEL - 30
        floor = min(-math.log10(sum(counts.values())) for _, _, counts, _ in curves)

        def at(decade, share, top=top, bottom=bottom, floor=floor):
            x = LEFT + (decade - DECADES[0]) * (WIDTH - LEFT - RIGHT) / (DECADES[1] - DECADES[0])
            return round(x, 1), round(top + (bottom - top) * share / floor, 1)
        out.append(("text", "h", 24, y + 18, title, "start"))
        for decade in range(DECADES[0], DECADES[1] + 1):
            x = at(decade, 0)[0]
            out.append(("steps", "g", [(x, top), (x, bottom)]))
            out.append(("text", "s", x, bottom + 16, time_text(10 ** decade), "middle"))
        for share in range(0, math.floor(floor) - 1, -1):
            if share >= floor:
                out.append(("text", "s", LEFT - 8, at(3, share)[1] + 4, "%g %%" % (100 * 10 ** share), "end"))
                out.append(("steps", "g", [at(DECADES[0], share), at(DECADES[1], share)]))
        for i, (label, kind, counts, p99) in enumerate(curves):
            total, shares = sum(counts.values()), {}
            for ns, count in counts.items():
                decade = min(max(math.log10(max(ns, 1)), DECADES[0]), DECADES[1] - 1e-9)
                b = math.floor((decade - DECADES[0]) * BINS)
                shares[b] = shares.get(b, 0) + count
            points = []
            for b in range(min(shares), max(shares) + 1):
                share = math.log10(shares[b] / total) if b in shares else floor
                points += [at(DECADES[0] + b / BINS, share), at(DECADES[0] + (b + 1) / BINS, share)]
            first, last = points[0][0], points[-1][0]
            out.append(("steps", kind, [(first, bottom)] + points + [(last, bottom)]))
            x, text = WIDTH - RIGHT - 250, "%s: p99 %s, max %s" % (label, time_text(p99), time_text(max(counts)))
            out.append(("steps", kind, [(x - 22, top + 12 + 16 * i), (x - 8, top + 12 + 16 * i)]))
            out.append(("text", "t", x, top + 16 + 16 * i, text, "start"))
        y += PANEL
    return out + [("text", "s", 24, y + 14, machine, "start")], y + 30


def svg(panels, machine):
    drawn, height = marks(panels, machine)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, '
           '-apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12">' % (WIDTH, height, WIDTH, height),
           STYLE, '<rect x=".5" y=".5" width="%d" height="%d" rx="8" class="c"/>' % (WIDTH - 1, height - 1)]
    for mark in drawn:
        if mark[0] == "steps":
            out.append('<path class="%s" d="M%s"/>' % (mark[1], "L".join("%g %g" % p for p in mark[2])))
        else:
            _, kind, x, y, text, anchor = mark
            text = text.replace("&", "&amp;").replace("<", "&lt;")
            out.append('<text x="%g" y="%g" class="%s" text-anchor="%s">%s</text>' % (x, y, kind, anchor, text))
    return "\n".join(out + ["</svg>"]) + "\n"


def png(panels, machine, scale=2):
    drawn, height = marks(panels, machine)
    width, height = WIDTH * scale, height * scale
    rows = [bytearray(bytes(COLOURS["c"]) * width) for _ in range(height)]

    def fill(x, y, w, h, kind):
        x, y = max(round(x), 0), max(round(y), 0)
        w = min(w, width - x)
        for row in rows[y:y + h]:
            row[3 * x:3 * (x + w)] = bytes(COLOURS[kind]) * w
    for mark in drawn:
        if mark[0] == "steps":
            for (x0, y0), (x1, y1) in zip(mark[2], mark[2][1:]):
                thick = 1 if mark[1] == "g" else scale + 1
                fill(min(x0, x1) * scale, min(y0, y1) * scale, round(abs(x1 - x0) * scale) + thick,
                     round(abs(y1 - y0) * scale) + thick, mark[1])
        else:
            _, kind, x, y, text, anchor = mark
            dot = 3 if scale > 1 else 1
            x, y = x * scale, y * scale - 5 * dot
            x -= {"start": 0, "middle": 2 * dot * len(text), "end": 4 * dot * len(text)}[anchor]
            for i, letter in enumerate(text.upper()):
                bits = GLYPHS.get(letter, 0)
                for k in range(15):
                    if bits >> (14 - k) & 1:
                        fill(x + (4 * i + k % 3) * dot, y + k // 3 * dot, dot, dot, kind)

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(b"".join(b"\0" + bytes(r) for r in rows), 9)) + chunk(b"IEND", b""))
