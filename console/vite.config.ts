import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page is served from / by the service itself, under a policy that allows scripts and styles from files
// only: nothing may be inlined into index.html.
export default defineConfig({
  plugins: [react()],
  base: "/",
  build: {
    outDir: "../backend/flynn/_page",
    assetsDir: "assets",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: "127.0.0.1",
    // The runbook is read on the page.
    fs: { allow: [".", "../docs"] },
    proxy: {
      "/api": "http://127.0.0.1:8000",
      "/ready": "http://127.0.0.1:8000",
      "/socket.io": { target: "ws://127.0.0.1:8000", ws: true },
    },
  },
});
