"""The freeze grid as HTML: live, with a switch in each cell, and as a plain table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ftkit.viz.cells import Cell
from ftkit.viz.words import count, percent
from ftkit.widgets.markup import attributes, button, field, select, table, tag

if TYPE_CHECKING:
    from ftkit.widgets.freeze_plan import EditedPlan

_KEYS = {"+": ("rescale", {"factor": 2}), "-": ("rescale", {"factor": 0.5}), "=": ("repeat", {})}


def live_regions(plan: EditedPlan, last: tuple[str, int]) -> dict[str, str]:
    """The grid, the controls for one cell, and those for the whole plan; `last` is the cell that was changed last."""
    return {"grid": _grid(plan, last), "cell": _cell_form(plan, *last), "plan": _plan_form(plan)}


def _grid(plan: EditedPlan, last: tuple[str, int]) -> str:
    head = "".join(tag("th", f"epoch {epoch}", scope="col") for epoch in range(1, len(plan.plans) + 1))
    rows = "".join(_row(plan, i, row, last) for i, row in enumerate(plan.cells))
    shares = "".join(f"<td>{_share(share)}</td>" for share in plan.shares)
    keys = attributes(data_keys=json.dumps(_KEYS))
    return (
        f'<div class="ft-scroll"><table class="ft-grid" role="grid" aria-label="What trains in which epoch"{keys}>'
        f'<thead><tr><th scope="col">group</th>{head}<th scope="col">parameters</th></tr></thead>'
        f'<tbody>{rows}</tbody><tfoot><tr><th scope="row">share that trains</th>{shares}<td></td></tr></tfoot>'
        '</table></div><p class="ft-quiet">The input is at the top; a share such as 29 % is the part of a group that '
        "trains. Click a cell to freeze it or let it train, or move with the arrow keys: <kbd>space</kbd> switches, "
        "<kbd>+</kbd> and <kbd>-</kbd> double and halve its learning rate, <kbd>=</kbd> does the same in all later "
        "epochs.</p>"
    )


def _share(share: float) -> str:
    if not share:
        return tag("span", "nothing!", class_="ft-warning")
    return (f'{tag("span", percent(share), class_="ft-number")}'
            f'<span class="ft-bar" style="width:max(1px, {100 * share:.2f}%)"></span>')


def _row(plan: EditedPlan, i: int, row: list[Cell], last: tuple[str, int]) -> str:
    group = plan.layers.groups[i]
    size = sum(plan.layers.sizes[name] for name in group.parameters)
    cells = "".join(f'<td role="gridcell">{_switch(group.name, epoch, cell, (group.name, epoch) == last)}</td>'
                    for epoch, cell in enumerate(row, 1))
    return f"<tr>{tag('th', group.name, scope='row')}{cells}{tag('td', count(size), class_='ft-number')}</tr>"


def _switch(group: str, epoch: int, cell: Cell, here: bool) -> str:
    if cell.share is None:
        return tag("span", "empty", class_="ft-quiet")
    state = "frozen" if not cell.share else "trains" if cell.share == 1 else "partly"
    values = attributes(
        type="button", role="switch", aria_checked="true" if cell.share else "false", class_="ft-cell",
        tabindex="0" if here else "-1", data_state=state, aria_label=f"{cell.text}: {group}, epoch {epoch}",
        data_cmd="toggle", data_args=json.dumps({"group": group, "epoch": epoch}), data_key=f"{group} {epoch}")
    return f"<button{values}>{tag('i', cell.text)}</button>"


def _cell_form(plan: EditedPlan, group: str, epoch: int) -> str:
    cell = plan.cells[plan.layers.names.index(group)][epoch - 1]
    epochs = [str(i) for i in range(1, len(plan.plans) + 1)]
    at = {"group": group, "epoch": epoch}
    scale = field("scale", f"{cell.high:.4g}", type="number", min=0, max=1000, step="any", required=True,
                  data_type="float", data_key="scale")
    return (
        '<form data-cmd="set_scale">'
        f"<label>Train {select('group', plan.layers.names, group, data_key='group')}</label>"
        f"<label>in epoch {select('epoch', epochs, str(epoch), data_type='int', data_key='epoch')}</label>"
        f"<label>at × {scale} of the learning rate</label> "
        '<button data-key="set">Set</button> '
        f"{button('The same in all later epochs', 'repeat', 'repeat', at)}</form>"
    )


def _plan_form(plan: EditedPlan) -> str:
    starts = select("strategy", plan.starts, plan.start, data_change="start_from", data_key="start")
    epochs = field("epochs", len(plan.plans), type="number", min=1, max=50, data_type="int", data_change="set_epochs",
                   data_key="epochs")
    return f'<div class="ft-line"><label>Begin anew from {starts}</label><label>Epochs {epochs}</label></div>'


def static_html(plan: EditedPlan) -> str:
    """A table for pages without a kernel."""
    epochs = [f"epoch {i + 1}" for i in range(len(plan.plans))]
    sizes = [count(sum(plan.layers.sizes[name] for name in group.parameters)) for group in plan.layers]
    rows = [[name, *(cell.text for cell in row), size]
            for name, row, size in zip(plan.layers.names, plan.cells, sizes, strict=True)]
    rows.append(["share that trains", *(percent(share) for share in plan.shares),
                 count(sum(plan.layers.sizes.values()))])
    return table(["group", *epochs, "parameters"], rows, "Freeze map: what trains in which epoch (input at the top)")
