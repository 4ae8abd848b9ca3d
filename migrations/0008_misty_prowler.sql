ALTER TABLE `apps` ADD `stackAlias` text;--> statement-breakpoint
ALTER TABLE `apps` ADD `region` text DEFAULT 'local' NOT NULL;--> statement-breakpoint
ALTER TABLE `sni_endpoints` ADD `givenChain` text;