"""`STYLE` and `SCRIPT`: how report.html looks, light and dark, and how its table is sorted.

Colours keep a contrast of 4.5 to 1 for text, WCAG 2.2, criterion 1.4.3.
"""

LIGHT = {
    "paper": "#ffffff",
    "panel": "#f5f7fa",
    "ink": "#1e2228",
    "muted": "#59616d",
    "line": "#d9dee5",
    "accent": "#1f62c9",
    "wrong": "#b02020",
    "right": "#17683a",
}
DARK = {
    "paper": "#14171c",
    "panel": "#1d2128",
    "ink": "#e8ebf0",
    "muted": "#a3adba",
    "line": "#353c47",
    "accent": "#7fb0ff",
    "wrong": "#ff9a92",
    "right": "#7fd6a0",
}


def variables(colours):
    """Colours as CSS variables, such as `--ink:#1e2228;`."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE = (
    f"""
:root{{color-scheme:light dark;{variables(LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}
"""
    + """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{padding-top:32px}
footer{padding-top:24px;padding-bottom:40px;color:var(--muted);font-size:14px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:20px;margin:40px 0 12px}
h3{font-size:16px;margin:24px 0 8px}
p{margin:8px 0}
.muted{color:var(--muted)}
.wrong{color:var(--wrong)}
.right{color:var(--right)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
.scroll:focus-visible,button:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%}
.scroll:has(.narrow){display:inline-block;max-width:100%}
table.narrow{width:auto;min-width:min(100%,400px)}
.wide td:last-child{min-width:11em}
.long th{overflow-wrap:anywhere;min-width:12em}
.long td{white-space:nowrap}
th,td{padding:7px 14px;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}
thead th{background:var(--panel);white-space:nowrap}
tbody tr:last-child>*{border-bottom:0}
tbody th{font-weight:500}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar{display:inline-block;width:96px;height:8px;margin-left:10px;border-radius:4px;
  background:var(--line);vertical-align:middle;overflow:hidden}
.bar i{display:block;height:100%;background:var(--accent)}
thead button{all:unset;cursor:pointer;font-weight:600}
thead button::after{content:" \\2195";color:var(--muted)}
th[aria-sort=ascending] button::after{content:" \\2191";color:var(--ink)}
th[aria-sort=descending] button::after{content:" \\2193";color:var(--ink)}
.picture{background:#fff;padding:8px}
.picture img{display:block;width:100%;max-width:max-content}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));
  gap:24px;list-style:none;padding:0;margin:0}
.mistakes img{display:block;width:100%;height:auto;border-radius:6px;background:#181b20}
.mistakes .words{display:flex;gap:12px;justify-content:space-between}
.mistakes .file{font-size:14px;color:var(--muted);margin:0 0 6px;overflow-wrap:anywhere}
.mistakes .gone{padding:28px 16px;border:1px dashed var(--line);border-radius:6px;
  color:var(--muted)}
code{font:0.9em ui-monospace,"DejaVu Sans Mono",monospace}
li{overflow-wrap:anywhere}
@media print{.scroll{overflow:visible}.picture img{max-width:100%}}
"""
)

# Without scripts the table stands as it is, worst class first.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const order = (one, two) => {
        const [a, b] = [key(one), key(two)];
        if (!a || !b) return !a - !b;
        const sign = up ? 1 : -1;
        return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
    });
  });
}
"""
