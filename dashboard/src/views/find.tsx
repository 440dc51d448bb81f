// Finding text in a list that is loaded already; kept in the address like every filter.

import { useId } from "preact/hooks";
import { route, setParams } from "../state/router.ts";

/** Whether every word of `find` is somewhere in `values`, in any case. */
export function matches(find: string, values: unknown[]): boolean {
  const text = values.map((value) => (typeof value === "string" ? value : JSON.stringify(value) ?? "")).join(" ").toLowerCase();
  return find
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** The field that `/` goes to. */
export function Find({ placeholder }: { placeholder: string }) {
  const id = useId();
  return (
    <div class="filter filter-find">
      <label for={id}>
        Find in this list <kbd aria-hidden="true">/</kbd>
      </label>
      <input
        id={id}
        type="search"
        value={route.value.params["q"] ?? ""}
        placeholder={placeholder}
        onInput={(event) => setParams({ q: event.currentTarget.value })}
      />
    </div>
  );
}
