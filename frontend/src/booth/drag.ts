/** Dragging a name to another place of an order: in addition to the buttons, with a mouse, a pen or a finger. */

interface Span {
  top: number;
  bottom: number;
}

/** The place that an item is dragged to by a pointer at `y`: it takes another's once it is over the middle of that. */
export function placeAt(items: readonly Span[], from: number, y: number): number {
  const at = items.findIndex(({ top, bottom }) => y >= top && y < bottom);
  if (at < 0) return from;
  const middle = (items[at]!.top + items[at]!.bottom) / 2;
  return at > from === y > middle ? at : from;
}

/** The name that is dragged now. */
let dragged: string | null = null;

/** The listeners of a list of names; `move` gets a name and by how many places it moves. */
export function draggable(names: readonly string[], move: (name: string, by: number) => void) {
  const places = (list: EventTarget | null) =>
    [...(list as Element).children].map((item) => item.getBoundingClientRect());
  return {
    down({ currentTarget, target, clientY, pointerId }: PointerEvent): void {
      if ((target as Element).closest(".booth-handle") === null) return;
      dragged = names[places(currentTarget).findIndex(({ top, bottom }) => clientY >= top && clientY < bottom)] ?? null;
      (currentTarget as Element).setPointerCapture(pointerId);
    },
    move({ currentTarget, clientY }: PointerEvent): void {
      if (dragged === null) return;
      const from = names.indexOf(dragged);
      const to = from < 0 ? from : placeAt(places(currentTarget), from, clientY);
      if (to !== from) move(dragged, to - from);
    },
    end(): void {
      dragged = null;
    },
  };
}
