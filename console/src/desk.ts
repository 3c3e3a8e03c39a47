/** The desk as views get it: the store's slices, and what can be done. */
import { createContext, useContext } from "react";
import { useStore } from "zustand";
import type { State } from "./state.ts";
import type { Desk } from "./store.ts";

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error("no desk around this view");
  return desk;
}

export function useSlice<T>(slice: (state: State) => T): T {
  return useStore(useDesk().store, slice);
}
